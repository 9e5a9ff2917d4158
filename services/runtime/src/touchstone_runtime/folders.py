"""What lies in a folder; a file counts as a folder of itself."""

from pathlib import Path


def files(path: Path) -> list[Path]:
    """List the files of a folder and of those below it, in no order."""
    return [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]


def size_bytes(path: Path) -> int:
    """Sum the lengths of the files of a folder."""
    return sum(file.stat().st_size for file in files(path))

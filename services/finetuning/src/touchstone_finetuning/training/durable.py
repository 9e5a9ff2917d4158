"""Files and folders that are whole or not there: written aside, flushed to the disk, then renamed."""

import os
import shutil
from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Replace a file by one rename."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    flush(partial)
    partial.replace(path)
    flush(path.parent)


def publish(staged: Path, folder: Path) -> None:
    """Put a finished folder in its place, in place of what is there."""
    for path in sorted(staged.rglob("*")):
        if path.is_file():
            path.chmod(0o644)  # safetensors writes for its own user only; who serves is another
        flush(path)
    flush(staged)
    discarded = folder.with_name(f".{folder.name}.discarded")
    remove(discarded)
    if folder.exists():
        folder.rename(discarded)
    staged.rename(folder)
    flush(folder.parent)
    remove(discarded)


def flush(path: Path) -> None:
    """Wait until a file or a folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(folder: Path) -> None:
    """Remove a folder with all in it, if it is there."""
    if folder.exists():
        shutil.rmtree(folder)


def size_bytes(folder: Path) -> int:
    """Sum the sizes of the files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

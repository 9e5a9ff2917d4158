"""Files and folders that are whole or not there: written aside, flushed to the disk, then renamed."""

import shutil
from pathlib import Path

from touchstone_runtime.durable import sync


def publish(staged: Path, folder: Path) -> None:
    """Put a finished folder in its place, in place of what is there."""
    for path in sorted(staged.rglob("*")):
        if path.is_file():
            path.chmod(0o644)  # safetensors writes for its own user only; who serves is another
        sync(path)
    sync(staged)
    discarded = folder.with_name(f".{folder.name}.discarded")
    remove(discarded)
    if folder.exists():
        folder.rename(discarded)
    staged.rename(folder)
    sync(folder.parent)
    remove(discarded)


def remove(folder: Path) -> None:
    """Remove a folder with all in it, if it is there."""
    if folder.exists():
        shutil.rmtree(folder)

"""Checkpoints: each a folder with a manifest of its files, whole or not there.

A checkpoint is staged aside, flushed, and renamed into its place; one whose files are not what its manifest says is
never resumed from. So a kill at any moment loses the steps since the newest checkpoint and nothing else.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from touchstone_runtime.durable import write_text

from touchstone_finetuning.core import codec
from touchstone_finetuning.training import durable

MANIFEST = "manifest.json"
PREFIX = "step-"


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of a checkpoint."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a checkpoint holds, and whose it is."""

    step: int
    fingerprint: str
    """Of the recipe and the data: the state of one run is no state of another."""
    files: tuple[File, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A checkpoint that was verified."""

    step: int
    folder: Path


def seal(staged: Path, folder: Path, *, step: int, fingerprint: str, keep: int) -> Path:
    """Make a staged folder the checkpoint of a step, and keep the newest `keep`; returns where it is."""
    files = tuple(_file(path, staged) for path in sorted(staged.rglob("*")) if path.is_file())
    manifest = Manifest(step=step, fingerprint=fingerprint, files=files)
    write_text(staged / MANIFEST, codec.to_json(manifest))
    sealed = folder / f"{PREFIX}{step:09d}"
    durable.publish(staged, sealed)
    for old in _folders(folder)[keep:]:
        durable.remove(old)
    return sealed


def newest(folder: Path, *, fingerprint: str, on_rejected: Callable[[str], None]) -> Checkpoint | None:
    """Find the newest checkpoint that is whole and of this run; the others are told, and left as they are."""
    for candidate in _folders(folder):
        try:
            manifest = codec.from_json((candidate / MANIFEST).read_text(), Manifest)
            cause = _fault(candidate, manifest, fingerprint)
        except (OSError, ValueError):
            cause = "its manifest cannot be read"
        if not cause:
            return Checkpoint(step=manifest.step, folder=candidate)
        on_rejected(f"The checkpoint {candidate.name} is not used: {cause}.")
    return None


def _fault(folder: Path, manifest: Manifest, fingerprint: str) -> str:
    if manifest.fingerprint != fingerprint:
        return "it is of another recipe or other data"
    for file in manifest.files:
        path = folder / file.path
        if not path.is_file():
            return f"{file.path} is missing"
        if path.stat().st_size != file.size_bytes or _sha256(path) != file.sha256:
            return f"{file.path} is not what was written"
    return ""


def _folders(folder: Path) -> list[Path]:
    """The folders of checkpoints, newest first."""
    return sorted((path for path in folder.glob(f"{PREFIX}*") if path.is_dir()), reverse=True)


def _file(path: Path, root: Path) -> File:
    return File(path=str(path.relative_to(root)), size_bytes=path.stat().st_size, sha256=_sha256(path))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

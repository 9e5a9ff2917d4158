"""Snapshots of data as folders: `manifest.json` says what lies beside it, by digest.

The digest of a snapshot is over what it holds and what it was made of, not over when it was made and where its sources
lay: the same content has the same digest everywhere.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from touchstone_runtime import errors, revisions
from touchstone_runtime.artefacts.caching import digest_file
from touchstone_runtime.revisions import Digest

MANIFEST = "manifest.json"


class SnapshotBroken(errors.FailedPrecondition):
    """A folder is no snapshot, or not what its manifest says."""

    reason = "SNAPSHOT_BROKEN"

    def __init__(self, folder: Path, cause: str) -> None:
        super().__init__(f"The snapshot {folder.name} cannot be used: {cause}.", metadata={"cause": cause})


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A snapshot on this machine, checked."""

    digest: Digest
    splits: Mapping[str, tuple[Path, ...]]
    """Parquet files by what they are for: train, validation, test."""


def read(folder: Path) -> Snapshot:
    """Read a snapshot and check every file of data against its digest.

    Raises:
        SnapshotBroken: It is none, or something of it is missing or changed.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        digest = revisions.digest_snapshot(manifest)
        files = [(each["split"], folder / each["path"], each["digest"]) for each in manifest["files"] if each["split"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SnapshotBroken(folder, f"{MANIFEST} cannot be read ({error})") from error
    if digest != manifest.get("digest"):
        raise SnapshotBroken(folder, f"{MANIFEST} does not have the digest that it names")
    splits: dict[str, tuple[Path, ...]] = {}
    for split, path, expected in files:
        if not path.is_file() or digest_file(path) != expected:
            raise SnapshotBroken(folder, f"{path.name} is missing or has changed")
        splits[split] = (*splits.get(split, ()), path)
    return Snapshot(digest=digest, splits=splits)

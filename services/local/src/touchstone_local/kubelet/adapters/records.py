"""Records and logs of Pods in files: `pods/NAMESPACE_POD/`."""

import logging
import shutil
from pathlib import Path

from touchstone_local import files
from touchstone_local.kubelet.core import records
from touchstone_local.kubelet.core.records import PodRecord

RECORD = "pod.json"
SCRATCH = "tmp"
"""Folder for a Pod's temporary files."""
KEPT_FOLDERS = 32
"""How many folders of Pods that are gone are kept for their logs."""
_log = logging.getLogger(__name__)


def pod_folder(pods_dir: Path, pod: PodRecord) -> Path:
    """Return the folder of a Pod."""
    return pods_dir / f"{pod.namespace}_{pod.name}"


def log_path(pods_dir: Path, namespace: str, pod: str, container: str) -> Path:
    """Return the log of a container."""
    return pods_dir / f"{namespace}_{pod}" / f"{container}.log"


class FileRecords:
    """Implements the port `Records`."""

    def __init__(self, pods_dir: Path) -> None:
        self._pods_dir = pods_dir

    def load(self) -> list[PodRecord]:
        """Return all records; one that cannot be read is left out, and said so."""
        return load(self._pods_dir)

    def save(self, record: PodRecord) -> None:
        """Write a record at once."""
        folder = pod_folder(self._pods_dir, record)
        folder.mkdir(parents=True, exist_ok=True)
        files.write_atomically(folder / RECORD, records.to_json(record))

    def forget(self, record: PodRecord) -> None:
        """Drop a record and the oldest logs of Pods that are gone."""
        folder = pod_folder(self._pods_dir, record)
        (folder / RECORD).unlink(missing_ok=True)
        shutil.rmtree(folder / SCRATCH, ignore_errors=True)
        gone = [each for each in self._pods_dir.iterdir() if each.is_dir() and not (each / RECORD).exists()]
        gone.sort(key=lambda folder: folder.stat().st_mtime, reverse=True)
        for folder in gone[KEPT_FOLDERS:]:
            shutil.rmtree(folder, ignore_errors=True)


def load(pods_dir: Path) -> list[PodRecord]:
    """Return the records of a folder; one that cannot be read is left out, and said so."""
    found = []
    for path in sorted(pods_dir.glob(f"*/{RECORD}")):
        try:
            found.append(records.from_json(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            _log.error("The record %s cannot be read and is left out: %s", path, error)
    return found

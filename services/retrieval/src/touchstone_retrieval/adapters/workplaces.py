"""Room for a build: a locked folder below the index folder, with a spool of passages as JSON lines."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path

from touchstone_retrieval.adapters import folders
from touchstone_retrieval.core.passages import Passage
from touchstone_retrieval.ports import Workplace


class FileSpool:
    """Passages in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()

    def add(self, passages: Sequence[Passage]) -> None:
        """Append passages."""
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(passage)) + "\n" for passage in passages)

    def batches(self, size: int) -> Iterator[Sequence[Passage]]:
        """Go through all of them in their order."""
        with self._path.open(encoding="utf-8") as file:
            while lines := list(islice(file, size)):
                yield [Passage(**json.loads(line)) for line in lines]


class FolderWorkplaces:
    """Workplaces below one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextlib.contextmanager
    def enter(self) -> Iterator[Workplace]:
        """Make room until the block is left."""
        with folders.unfinished(self._root / "build") as folder:
            yield Workplace(folder, FileSpool(folder / "passages.jsonl"))

    def sweep(self) -> int:
        """Remove what died builds left."""
        return folders.sweep(self._root.parent, self._root.name)

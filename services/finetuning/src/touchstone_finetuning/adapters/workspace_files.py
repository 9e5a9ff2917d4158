"""What a trainer writes into its workspace: events while it goes, a result or a fault at its end."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from touchstone_finetuning.core import codec, outcome
from touchstone_finetuning.core.outcome import Fault, Result
from touchstone_finetuning.ports import Ending

T = TypeVar("T")


def clear(folder: Path) -> None:
    """Remove what an earlier attempt has written."""
    for name in (outcome.EVENTS, outcome.RESULT, outcome.FAULT):
        (folder / name).unlink(missing_ok=True)


def ending(folder: Path, code: int) -> Ending:
    """Say how a trainer ended, with what it has written of that."""
    return Ending(code, _read(folder / outcome.RESULT, Result), _read(folder / outcome.FAULT, Fault))


class Events:
    """The events of a trainer, read on and on."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / outcome.EVENTS
        self._read_bytes = 0

    def read(self) -> Sequence[Mapping[str, Any]]:
        """Return what it has told since the last call; a line that is not whole yet is left for the next."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._read_bytes)
                content = file.read()
        except FileNotFoundError:
            return []
        whole = content[: content.rfind(b"\n") + 1]
        self._read_bytes += len(whole)
        return [json.loads(line) for line in whole.splitlines() if line]


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        return codec.from_json(path.read_text(), kind)
    except FileNotFoundError:
        return None

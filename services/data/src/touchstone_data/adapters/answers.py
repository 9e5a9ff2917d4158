"""What models answered to a shard, as JSON lines: a worker that is killed leaves what it has paid for.

Each worker writes a file of its own, so that two that work on one shard do not write into one another's lines. A line
that was cut off by a death is left out.
"""

import uuid
from collections.abc import Mapping
from pathlib import Path

import orjson

from touchstone_data.core.generation import Reply


class FileAnswers:
    """The answers in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._own = folder / f"{uuid.uuid4().hex}.jsonl"

    def read(self) -> Mapping[str, Reply]:
        """Read all answers by their keys."""
        found: dict[str, Reply] = {}
        for path in sorted(self._folder.glob("*.jsonl")):
            for line in path.read_bytes().splitlines():
                try:
                    row = orjson.loads(line)
                except orjson.JSONDecodeError:
                    continue
                found[row["key"]] = Reply(text=row["text"], refusal=row["refusal"])
        return found

    def keep(self, key: str, reply: Reply) -> None:
        """Append one; it survives this process, though not this machine."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._own.open("ab") as file:
            file.write(orjson.dumps({"key": key, "text": reply.text, "refusal": reply.refusal}) + b"\n")

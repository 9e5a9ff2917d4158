"""Logs of processes and Pods: which there are, and following one."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

from touchstone_local import files
from touchstone_local.errors import LogNotFound
from touchstone_local.layout import StateFolder

POLL_SECONDS = 0.3
POD_PREFIX = "pod/"


def find(folder: StateFolder, name: str, *, container: str = "", namespace: str = "default") -> Path:
    """Return the log of a process (`router`) or of a Pod (`pod/NAME`; the beginning of a name will do).

    Raises:
        LogNotFound: There is none, or the name fits several.
    """
    known = _known(folder)
    if name in known:
        return known[name][0]
    wanted = name if name.startswith(POD_PREFIX) else f"{POD_PREFIX}{name}"
    prefix = f"{POD_PREFIX}{namespace}_{wanted.removeprefix(POD_PREFIX)}"
    pods = {pod: paths for pod, paths in known.items() if pod.startswith(prefix)}
    if f"{prefix}" in pods:
        pods = {prefix: pods[prefix]}
    paths = [path for each in pods.values() for path in each if container in ("", path.stem)]
    if not paths:
        raise LogNotFound(name, [_shown(each) for each in known])
    return max(paths, key=lambda path: path.stat().st_mtime)


def names(folder: StateFolder) -> list[str]:
    """Return what `find` understands."""
    return [_shown(each) for each in sorted(_known(folder))]


async def follow(path: Path, *, lines: int, forever: bool) -> AsyncIterator[str]:
    """Yield the last lines of a log as text, then what is added to it."""
    text, position = await asyncio.to_thread(_tail, path, lines)
    if text:
        yield f"{text}\n"
    while forever:
        await asyncio.sleep(POLL_SECONDS)
        added, position = await asyncio.to_thread(_read_from, path, position)
        if added:
            yield added


def readable(text: str) -> str:
    """Return log text with lines that are JSON, as services write them, in the form that people read. Pure."""
    return "".join(_readable_line(line) for line in text.splitlines(keepends=True))


def _readable_line(line: str) -> str:
    try:
        record = json.loads(line)
    except ValueError:
        return line
    if not isinstance(record, dict) or not {"time", "level", "logger", "message"} <= record.keys():
        return line
    clock = str(record.pop("time"))[11:23]
    level, logger, message = (record.pop(key) for key in ("level", "logger", "message"))
    exception = record.pop("exception", "")
    facts = "".join(f" {key}={value}" for key, value in record.items())
    return f"{clock} {level:<7} {logger}: {message}{facts}\n" + (f"{exception}\n" if exception else "")


def _tail(path: Path, lines: int) -> tuple[str, int]:
    """Return the last lines and where the log ends."""
    size = path.stat().st_size if path.exists() else 0
    return files.tail(path, lines=lines), size


def _read_from(path: Path, position: int) -> tuple[str, int]:
    """Return what was added after a position; a log that was put aside is read from its beginning."""
    size = path.stat().st_size if path.exists() else 0
    start = position if position <= size else 0
    if size == start:
        return "", start
    with path.open("rb") as file:
        file.seek(start)
        content = file.read()
    return content.decode(errors="replace"), start + len(content)


def _known(folder: StateFolder) -> dict[str, list[Path]]:
    found = {path.stem: [path] for path in folder.logs.glob("*.log")}
    for path in folder.pods.glob("*/*.log"):
        found.setdefault(f"{POD_PREFIX}{path.parent.name}", []).append(path)
    return found


def _shown(name: str) -> str:
    if not name.startswith(POD_PREFIX):
        return name
    return f"{POD_PREFIX}{name.removeprefix(POD_PREFIX).partition('_')[2]}"

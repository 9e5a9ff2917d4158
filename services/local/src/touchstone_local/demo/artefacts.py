"""What an example needs from outside, fetched before anything starts, with progress for people."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn
from touchstone_runtime.artefacts import Resolver

from touchstone_local.kube import manifests

FETCHED = ("pypi://", "http://", "https://", "hf://", "s3://")


def addresses(example: Path) -> list[str]:
    """Return the addresses in an example's files, each once, in their order."""
    return list(dict.fromkeys(uri for obj in manifests.load(example) for uri in _uris(obj)))


async def fetch(example: Path, cache: Path, console: Console) -> None:
    """Fetch all artefacts of an example; what is in the cache is checked only.

    Raises:
        DomainError: One cannot be had.
    """
    columns = (TextColumn("  {task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console) as progress:
        tasks: dict[str, TaskID] = {}

        def told(uri: str, done_bytes: int, total_bytes: int | None) -> None:
            progress.update(tasks[uri], completed=done_bytes, total=total_bytes)

        resolver = Resolver(cache, progress=told)
        for uri in addresses(example):
            tasks[uri] = progress.add_task(uri.partition("#")[0].rpartition("/")[2], total=None)

        async def one(uri: str) -> None:
            found = await resolver.resolve(uri)
            progress.update(tasks[uri], completed=found.size_bytes, total=found.size_bytes)

        await asyncio.gather(*(one(uri) for uri in tasks))


def _uris(value: object) -> Iterator[str]:
    if isinstance(value, str):
        if value.startswith(FETCHED):
            yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _uris(part)
    elif isinstance(value, list):
        for part in value:
            yield from _uris(part)

"""Artefacts: weights, data sets, reports. Fetched once, checked by digest, kept by content.

`Resolver` brings a URI to this machine; `ArtefactStore` keeps what the platform makes.
"""

from pathlib import Path

from touchstone_runtime.artefacts.faults import (
    ArtefactCorrupt,
    ArtefactNotFound,
    ArtefactUnavailable,
    ArtefactUnusable,
    CredentialsUnusable,
    UriInvalid,
)
from touchstone_runtime.artefacts.resolving import Progress, Resolved, Resolver
from touchstone_runtime.artefacts.storing import ArtefactStore

HOME_CACHE = Path("~/.cache/touchstone/artefacts")


def cache_folder(artefacts_uri: str, cache_dir: Path | None, *, otherwise: Path = HOME_CACHE) -> Path:
    """Say where a process keeps what it fetches: the folder it is given, else one in a store on this machine.

    Args:
        artefacts_uri: The store's address; empty for none.
        cache_dir: The folder it is given.
        otherwise: The folder where there is neither.
    """
    if cache_dir is not None:
        return cache_dir
    if artefacts_uri.startswith("file://"):
        return Path(artefacts_uri.removeprefix("file://")) / "artefacts"
    return otherwise.expanduser()


__all__ = [
    "ArtefactCorrupt",
    "ArtefactNotFound",
    "ArtefactStore",
    "ArtefactUnavailable",
    "ArtefactUnusable",
    "CredentialsUnusable",
    "Progress",
    "Resolved",
    "Resolver",
    "UriInvalid",
    "cache_folder",
]

"""Bases and data sets through the artefact resolver; files of this machine only where they may be read or written."""

from pathlib import Path

from touchstone_runtime.artefacts import Resolver, places
from touchstone_runtime.cluster.references import Secrets

from touchstone_finetuning.core.spec import Source
from touchstone_finetuning.ports import Fetched


class ArtefactSources:
    """The sources port."""

    def __init__(self, resolver: Resolver, secrets: Secrets, *, file_root: Path, store: Path | None = None) -> None:
        """Prepare.

        Args:
            resolver: Fetches.
            secrets: Reads the keys of stores.
            file_root: `file://` addresses must lie below it.
            store: The artefact store where that is a folder: what the platform made is read there too, as snapshots of
                pipelines.
        """
        self._resolver = resolver
        self._secrets = secrets
        self._root = file_root.resolve()
        self._readable = (self._root, store.resolve()) if store else (self._root,)

    def fetch(self, source: Source) -> Fetched:
        """Bring an artefact here."""
        places.check(source.uri, *self._readable)
        found = self._resolver.resolve_sync(
            source.uri, digest=source.digest, credentials=self._secrets.read(source.credentials)
        )
        return Fetched(path=found.path, digest=found.digest)

    def own_file(self, uri: str) -> Path:
        """Return the path of a `file://` address below the root."""
        return places.path(uri, self._root)

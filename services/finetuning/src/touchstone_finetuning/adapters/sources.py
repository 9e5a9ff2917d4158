"""Bases and data sets through the artefact resolver; files of this machine only below one root."""

from pathlib import Path

from touchstone_runtime.artefacts import Resolver, UriInvalid

from touchstone_finetuning.core.spec import Source
from touchstone_finetuning.ports import Fetched


class ArtefactSources:
    """The sources port."""

    def __init__(self, resolver: Resolver, *, file_root: Path) -> None:
        """Prepare.

        Args:
            resolver: Fetches.
            file_root: `file://` addresses must lie below it.
        """
        self._resolver = resolver
        self._root = file_root.resolve()

    def fetch(self, source: Source) -> Fetched:
        """Bring an artefact here."""
        if source.uri.startswith("file://"):
            self.own_file(source.uri)
        found = self._resolver.resolve_sync(source.uri, digest=source.digest)
        return Fetched(path=found.path, digest=found.digest)

    def own_file(self, uri: str) -> Path:
        """Return the path of a `file://` address below the root."""
        path = Path(uri.removeprefix("file://").partition("#")[0]).resolve()
        if not path.is_relative_to(self._root):
            raise UriInvalid(uri, f"must lie below {self._root}")
        return path

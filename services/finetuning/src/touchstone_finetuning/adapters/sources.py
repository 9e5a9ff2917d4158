"""Bases and data sets through the artefact resolver; files of this machine only where they may be read or written."""

from pathlib import Path

from touchstone_runtime.artefacts import Resolver, UriInvalid

from touchstone_finetuning.core.spec import Source
from touchstone_finetuning.ports import Fetched


class ArtefactSources:
    """The sources port."""

    def __init__(self, resolver: Resolver, *, file_root: Path, store: Path | None = None) -> None:
        """Prepare.

        Args:
            resolver: Fetches.
            file_root: `file://` addresses must lie below it.
            store: The artefact store where that is a folder: what the platform made is read there too, as snapshots of
                pipelines.
        """
        self._resolver = resolver
        self._root = file_root.resolve()
        self._readable = (self._root, store.resolve()) if store else (self._root,)

    def fetch(self, source: Source) -> Fetched:
        """Bring an artefact here."""
        if source.uri.startswith("file://"):
            _below(self._readable, source.uri)
        found = self._resolver.resolve_sync(source.uri, digest=source.digest)
        return Fetched(path=found.path, digest=found.digest)

    def own_file(self, uri: str) -> Path:
        """Return the path of a `file://` address below the root."""
        return _below((self._root,), uri)


def _below(roots: tuple[Path, ...], uri: str) -> Path:
    path = Path(uri.removeprefix("file://").partition("#")[0]).resolve()
    if not any(path.is_relative_to(root) for root in roots):
        raise UriInvalid(uri, f"must lie below {' or '.join(map(str, roots))}")
    return path

"""What steps may need of the world."""

from pathlib import Path

from touchstone_runtime.artefacts import Resolver, places


class ResolverTools:
    """Fetches files for steps; what is fetched once stays on this machine."""

    def __init__(self, resolver: Resolver, *, file_root: Path, artefacts_uri: str = "") -> None:
        """Prepare.

        Args:
            resolver: Fetches and verifies.
            file_root: `file://` addresses must lie below it, …
            artefacts_uri: … or below the artefact store, if that is a folder.
        """
        self._resolver = resolver
        self._roots = places.readable(file_root, artefacts_uri)

    def fetch(self, uri: str, digest: str = "") -> str:
        """Bring a file or folder here, verified."""
        places.check(uri, *self._roots)
        return str(self._resolver.resolve_sync(uri, digest=digest).path)

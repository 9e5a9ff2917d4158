"""What steps may need of the world."""

from touchstone_runtime.artefacts import Resolver


class ResolverTools:
    """Fetches files for steps; what is fetched once stays on this machine."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    def fetch(self, uri: str, digest: str = "") -> str:
        """Bring a file or folder here, verified."""
        return str(self._resolver.resolve_sync(uri, digest=digest).path)

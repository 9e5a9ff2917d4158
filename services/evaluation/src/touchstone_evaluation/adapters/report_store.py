"""Reports in the platform's artefact store."""

from touchstone_runtime.artefacts import ArtefactStore
from touchstone_runtime.background import BackgroundLoop


class ReportStore:
    """Puts files into the store, from threads."""

    def __init__(self, store: ArtefactStore, loop: BackgroundLoop) -> None:
        self._store = store
        self._loop = loop

    def put(self, path: str, content: bytes) -> str:
        """Store a file and return its address."""
        return self._loop.run(self._store.put_bytes(path, content))

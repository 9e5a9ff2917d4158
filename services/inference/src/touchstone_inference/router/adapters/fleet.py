"""Engines of every type behind one port."""

from collections.abc import Collection

from touchstone_inference.router.core.view import EXTERNAL, Endpoint, Revision
from touchstone_inference.router.ports import Engine, Engines


class Fleet:
    """Sends External revisions to their API and all others to their pods."""

    def __init__(self, *, pods: Engines, external: Engines) -> None:
        self._pods = pods
        self._external = external

    def at(self, revision: Revision, endpoint: Endpoint) -> Engine:
        """Give the engine at an endpoint of a revision."""
        is_external = revision.manifest.bundle.engine.type == EXTERNAL
        return (self._external if is_external else self._pods).at(revision, endpoint)

    def keep_only(self, addresses: Collection[str]) -> None:
        """Let go of the connections to other addresses."""
        self._pods.keep_only(addresses)
        self._external.keep_only(addresses)

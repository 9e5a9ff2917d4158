"""Datasets as files, fetched and verified by the runtime's resolver."""

from pathlib import Path

from touchstone_runtime.artefacts import Resolver, places
from touchstone_runtime.cluster.references import Secrets
from touchstone_runtime.errors import DomainError

from touchstone_evaluation import errors
from touchstone_evaluation.core.spec import Dataset


class DatasetFiles:
    """Reads datasets by their address."""

    def __init__(self, resolver: Resolver, secrets: Secrets, *, roots: tuple[Path, ...]) -> None:
        """Prepare.

        Args:
            resolver: Fetches and verifies.
            secrets: Reads the keys of stores.
            roots: Folders, resolved: a `file://` address must lie below one.
        """
        self._resolver = resolver
        self._secrets = secrets
        self._roots = roots

    def fetch(self, suite: str, dataset: Dataset) -> bytes:
        """Read a dataset's file, verified."""
        try:
            places.check(dataset.uri, *self._roots)
            keys = self._secrets.read(dataset.credentials)
            found = self._resolver.resolve_sync(dataset.uri, digest=dataset.digest, credentials=keys)
        except DomainError as error:
            if error.is_retryable:
                raise errors.DatasetUnreachable(suite, error.message) from error
            raise errors.DatasetInvalid(suite, error.message) from error
        if found.path.is_dir():
            raise errors.DatasetInvalid(suite, "the address is a folder; name one file.")
        return found.path.read_bytes()

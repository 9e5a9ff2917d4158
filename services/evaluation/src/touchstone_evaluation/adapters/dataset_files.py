"""Datasets as files, fetched and verified by the runtime's resolver."""

from touchstone_runtime.artefacts import Resolver
from touchstone_runtime.errors import DomainError

from touchstone_evaluation import errors
from touchstone_evaluation.core.spec import Dataset


class DatasetFiles:
    """Reads datasets by their address."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    def fetch(self, suite: str, dataset: Dataset) -> bytes:
        """Read a dataset's file, verified."""
        try:
            found = self._resolver.resolve_sync(dataset.uri, digest=dataset.digest)
        except DomainError as error:
            if error.is_retryable:
                raise errors.DatasetUnreachable(suite, error.message) from error
            raise errors.DatasetInvalid(suite, error.message) from error
        if found.path.is_dir():
            raise errors.DatasetInvalid(suite, "the address is a folder; name one file.")
        return found.path.read_bytes()

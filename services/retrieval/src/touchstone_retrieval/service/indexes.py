"""Which revision is active, and which are kept. Blocking; the door runs it in threads."""

from dataclasses import dataclass

from touchstone_retrieval.ports import Catalogue, IndexRecord, Store
from touchstone_retrieval.service.readers import Readers
from touchstone_retrieval.service.searching import Searching


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexes:
    """Activates and deletes revisions."""

    catalogue: Catalogue
    store: Store
    readers: Readers
    searching: Searching

    def activate(self, index: str, revision: str) -> IndexRecord:
        """Make a revision the active one, after it was opened and its encoder loaded.

        The row of the catalogue is what searches go by; the store's own pointer follows it.
        """
        self.searching.warm(self.catalogue.manifest(index, revision))
        self.catalogue.activate(index, revision)
        self.store.point_to(index, revision)
        return self.catalogue.index(index)

    def get(self, index: str) -> IndexRecord:
        """Read an index."""
        return self.catalogue.index(index)

    def delete_revision(self, index: str, revision: str) -> None:
        """Delete a revision that is not active; searches that hold it end undisturbed."""
        self.catalogue.remove(index, revision)
        self.readers.retire(index, revision)
        self.store.delete(index, revision)

    def delete_index(self, index: str) -> None:
        """Delete an index with its revisions; searches that hold one end undisturbed."""
        revisions = self.catalogue.remove_index(index)
        self.readers.retire(index)
        for revision in revisions:
            self.store.delete(index, revision)
        self.store.delete_index(index)

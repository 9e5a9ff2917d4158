"""Which kinds the server has: the built-in ones and those of the CustomResourceDefinitions, kept in step with them."""

from collections.abc import Iterable, Sequence

from touchstone_local.apiserver.core import crds, objects
from touchstone_local.apiserver.core.kinds import Kind
from touchstone_local.apiserver.core.objects import JsonObject


class Registry:
    """Kinds by group, version and plural."""

    def __init__(self, builtin: Iterable[Kind]) -> None:
        self._builtin = tuple(builtin)
        self._custom: dict[str, list[Kind]] = {}
        self._index: dict[tuple[str, str, str], Kind] = {}
        self.revision = 0
        """Counts the changes of what is served."""
        self._rebuild()

    def all(self) -> Sequence[Kind]:
        """Return every kind in every served version, built-in ones first."""
        return tuple(self._index.values())

    def find(self, group: str, version: str, plural: str) -> Kind | None:
        """Return the kind of a path."""
        return self._index.get((group, version, plural))

    def of_storage(self, storage: str) -> Kind | None:
        """Return a kind whose objects lie in a storage as they are, else any that reads it."""
        kinds = [kind for kind in self._index.values() if kind.storage == storage]
        return next((kind for kind in kinds if not kind.is_view), kinds[0] if kinds else None)

    def put_definition(self, crd: JsonObject) -> Sequence[Kind]:
        """Serve what a CRD declares, if it is established, and return its kinds."""
        self._custom[objects.name(crd)] = crds.kinds_of(crd) if crds.is_established(crd) else []
        self._rebuild()
        return self._custom[objects.name(crd)]

    def drop_definition(self, name: str) -> None:
        """Serve the kinds of a CRD no longer."""
        if self._custom.pop(name, None) is not None:
            self._rebuild()

    def _rebuild(self) -> None:
        custom = [kind for name in sorted(self._custom) for kind in self._custom[name]]
        self._index = {(kind.group, kind.version, kind.plural): kind for kind in (*self._builtin, *custom)}
        self.revision += 1

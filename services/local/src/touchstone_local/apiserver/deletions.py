"""Deleting objects: at once, or marked and waiting for finalizers, dependents or what runs."""

from datetime import timedelta
from typing import NamedTuple

from touchstone_local.apiserver import errors
from touchstone_local.apiserver.admission import Admission
from touchstone_local.apiserver.builtins.contents import NAMESPACES
from touchstone_local.apiserver.changes import Changes, Sources
from touchstone_local.apiserver.core import kinds, objects, refusals
from touchstone_local.apiserver.core.kinds import Kind
from touchstone_local.apiserver.core.objects import JsonObject, Key
from touchstone_local.apiserver.core.options import DeleteOptions, Warnings
from touchstone_local.apiserver.store import Entry, Store

FOREGROUND_FINALIZER = "foregroundDeletion"
ORPHAN_FINALIZER = "orphan"
_FINALIZERS = {kinds.FOREGROUND: FOREGROUND_FINALIZER, kinds.ORPHAN: ORPHAN_FINALIZER}
_KEPT_NAMESPACES = ("default", "kube-system")
_FINISHED = ("Succeeded", "Failed")


class Deleted(NamedTuple):
    """What a deletion came to."""

    obj: JsonObject
    is_gone: bool


class Deletions:
    """Deletes objects."""

    def __init__(self, store: Store, gate: Admission, changes: Changes, sources: Sources) -> None:
        self._store = store
        self._gate = gate
        self._changes = changes
        self._sources = sources

    def delete(self, kind: Kind, key: Key, options: DeleteOptions, warnings: Warnings) -> Deleted:
        """Delete an object, or mark it as going.

        Raises:
            NotFound: There is none.
            Conflict: A precondition does not hold.
            Forbidden: It may not be deleted.
        """
        entry = self._changes.live(kind, key)
        _check_preconditions(kind, entry, options)
        if key.storage == NAMESPACES and key.name in _KEPT_NAMESPACES:
            raise errors.Forbidden(f'namespaces "{key.name}" is forbidden: this namespace may not be deleted')
        self._warn(kind, options, warnings)
        body: JsonObject = objects.clone(entry.body)
        self._mark(kind, body, options)
        is_held = self._is_held(kind, body)
        if options.is_dry_run:
            return Deleted(kind.served(entry.body), is_gone=not is_held)
        if not is_held:
            return Deleted(kind.served(self._store.remove(entry)), is_gone=True)
        if not objects.is_equal(body, entry.body):
            entry = self._store.put(key, body, kind.selectable_of(body))
        return Deleted(kind.served(entry.body), is_gone=False)

    def _mark(self, kind: Kind, body: JsonObject, options: DeleteOptions) -> None:
        metadata = body["metadata"]
        grace = _grace_seconds(kind, body, options)
        propagation = options.propagation or kind.deletion_default
        finalizers = [name for name in objects.finalizers(body) if name not in _FINALIZERS.values()]
        if propagation in _FINALIZERS:
            finalizers.append(_FINALIZERS[propagation])
        is_first = "deletionTimestamp" not in metadata
        if is_first or options.propagation:
            metadata["finalizers"] = finalizers
            if not finalizers:
                del metadata["finalizers"]
        if is_first or grace < metadata.get("deletionGracePeriodSeconds", 0):
            metadata["deletionTimestamp"] = objects.timestamp(self._sources.now() + timedelta(seconds=grace))
            metadata["deletionGracePeriodSeconds"] = grace
        if is_first:
            if kind.has_generation:
                metadata["generation"] = metadata.get("generation", 0) + 1
            self._gate.behaviour(kind).mark_deleted(body, None)

    def _is_held(self, kind: Kind, body: JsonObject) -> bool:
        metadata = body["metadata"]
        waits = kind.is_graceful and bool(metadata.get("deletionGracePeriodSeconds"))
        return bool(metadata.get("finalizers")) or waits or self._gate.behaviour(kind).holds_deletion(body)

    def _warn(self, kind: Kind, options: DeleteOptions, warnings: Warnings) -> None:
        if kind.deletion_default == kinds.ORPHAN and not options.propagation:
            warnings.add(
                "child pods are preserved by default when jobs are deleted; "
                "set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this "
                "warning"
            )


def _check_preconditions(kind: Kind, entry: Entry, options: DeleteOptions) -> None:
    uid = objects.uid(entry.body)
    if options.uid and options.uid != uid:
        why = (
            f"the UID in the precondition ({options.uid}) does not match the UID in record ({uid}). "
            "The object might have been deleted and then recreated"
        )
        raise refusals.conflict(kind, entry.key.name, why)
    version = entry.body["metadata"]["resourceVersion"]
    if options.version and options.version != version:
        why = (
            f"the ResourceVersion in the precondition ({options.version}) does not match the ResourceVersion in record "
            f"({version}). The object might have been modified"
        )
        raise refusals.conflict(kind, entry.key.name, why)


def _grace_seconds(kind: Kind, body: JsonObject, options: DeleteOptions) -> int:
    """Return how long what runs may go on: only Pods on a node that have not finished wait."""
    if not kind.is_graceful or not objects.at(body, "spec", "nodeName"):
        return 0
    if objects.at(body, "status", "phase") in _FINISHED:
        return 0
    if options.grace_seconds is not None:
        return max(0, options.grace_seconds)
    return objects.at(body, "spec", "terminationGracePeriodSeconds") or 0

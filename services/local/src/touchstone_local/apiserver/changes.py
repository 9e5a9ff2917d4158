"""Creating and changing objects. Each call reads, decides and stores without a pause, so that no lock is needed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from touchstone_local.apiserver import admission, errors
from touchstone_local.apiserver.admission import Admission
from touchstone_local.apiserver.builtins.contents import NAMESPACES
from touchstone_local.apiserver.core import applying, faults, objects, ownership, refusals, upkeep
from touchstone_local.apiserver.core.applying import Door
from touchstone_local.apiserver.core.kinds import Kind
from touchstone_local.apiserver.core.objects import JsonObject, Key
from touchstone_local.apiserver.core.options import Warnings, WriteOptions
from touchstone_local.apiserver.core.ownership import Share, Writer
from touchstone_local.apiserver.store import Entry, Store

Patch = Callable[[JsonObject], JsonObject]
"""Returns what an object is to become; the one given must not be changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where time and identities come from."""

    now: Callable[[], datetime]
    uid: Callable[[], str]
    suffix: Callable[[], str]
    """Returns the random end of a generated name."""

    def timestamp(self) -> str:
        """Return the time as Kubernetes writes it."""
        return objects.timestamp(self.now())


class Outcome(NamedTuple):
    """An object as it is after a write, in the version of the request."""

    obj: JsonObject
    is_new: bool = False


class Changes:
    """Creates, updates, patches and applies."""

    def __init__(self, store: Store, gate: Admission, sources: Sources) -> None:
        self._store = store
        self._gate = gate
        self._sources = sources

    def live(self, kind: Kind, key: Key) -> Entry:
        """Return a stored object.

        Raises:
            NotFound: There is none.
        """
        entry = self._store.get(key)
        if entry is None:
            raise refusals.not_found(kind, key.name)
        return entry

    def create(self, kind: Kind, namespace: str, obj: JsonObject, options: WriteOptions, warnings: Warnings) -> Outcome:
        """Create an object; the one given is changed.

        Raises:
            ApiError: It is not valid, its name is taken, or its namespace is missing or going.
        """
        refusals.check_type(obj, kind)
        admission.check_metadata(obj, kind)
        if objects.meta(obj).get("resourceVersion"):
            raise errors.BadRequest("resourceVersion should not be set on objects to be created")
        return self._create(kind, namespace, obj, options, warnings, shares=None)

    def update(self, kind: Kind, key: Key, obj: JsonObject, options: WriteOptions, warnings: Warnings) -> Outcome:
        """Replace an object, or what its subresource holds; the one given is changed.

        Raises:
            ApiError: It is not valid, is gone, or another writer was faster.
        """
        refusals.check_type(obj, kind)
        admission.check_metadata(obj, kind)
        entry = self.live(kind, key)
        if kind.is_custom and not obj["metadata"].get("resourceVersion"):
            fault = faults.invalid("metadata.resourceVersion", 0, "must be specified for an update")
            faults.raise_if_any([fault], kind=kind.kind, group=kind.group, name=key.name)
        return self._change(kind, entry, obj, options, warnings, shares=None)

    def patch(self, kind: Kind, key: Key, patch: Patch, options: WriteOptions, warnings: Warnings) -> Outcome:
        """Change an object by a patch.

        Raises:
            ApiError: The outcome is not valid, or the object is gone.
        """
        entry = self.live(kind, key)
        patched = patch(kind.served(entry.body))
        if not isinstance(patched, dict):
            raise errors.BadRequest(f"The patch does not leave a {kind.kind}.")
        obj = objects.clone(patched)
        refusals.check_type(obj, kind)
        admission.check_metadata(obj, kind)
        return self._change(kind, entry, obj, options, warnings, shares=None)

    def apply(self, kind: Kind, key: Key, config: JsonObject, options: WriteOptions, warnings: Warnings) -> Outcome:
        """Create or change an object by server-side apply; the configuration given is changed.

        Raises:
            ApiError: Another manager owns a field, or the outcome is not valid.
        """
        self._check_config(kind, key, config, options, warnings)
        writer = Writer(options.manager, ownership.APPLY, kind.api_version, options.subresource)
        entry = self._store.get(key)
        if entry is None and options.subresource:
            raise refusals.not_found(kind, key.name)
        live = kind.served(entry.body) if entry is not None else _seed(kind, key)
        door = Door(kind.schema, options.subresource, kind.has_status)
        time = self._sources.timestamp()
        applied = applying.apply(
            _with_owner(live, kind, time), config, door, writer, is_forced=options.is_forced, time=time
        )
        obj = objects.clone(applied.obj)
        if entry is None:
            return self._create(kind, key.namespace, obj, options, warnings, shares=applied.shares)
        return self._change(kind, entry, obj, options, warnings, shares=applied.shares)

    def finish_deletion(self, kind: Kind, entry: Entry) -> JsonObject | None:
        """Remove an object that is to go, if nothing holds it any more; return it as it was last."""
        body = entry.body
        metadata = body["metadata"]
        waits = bool(metadata.get("deletionGracePeriodSeconds")) and kind.is_graceful
        if not metadata.get("deletionTimestamp") or metadata.get("finalizers") or waits:
            return None
        if self._gate.behaviour(kind).holds_deletion(body):
            return None
        return self._store.remove(entry)

    def _check_config(
        self, kind: Kind, key: Key, config: JsonObject, options: WriteOptions, warnings: Warnings
    ) -> None:
        refusals.check_type(config, kind, is_strict=True)
        admission.check_metadata(config, kind)
        if config["metadata"].get("managedFields"):
            raise errors.BadRequest("metadata.managedFields must be nil")
        self._gate.report_fields(kind, [], options, warnings)
        refusals.check_place(config, kind, key)
        config["metadata"]["name"] = key.name
        if kind.is_namespaced:
            config["metadata"]["namespace"] = key.namespace

    def _create(
        self,
        kind: Kind,
        namespace: str,
        obj: JsonObject,
        options: WriteOptions,
        warnings: Warnings,
        *,
        shares: list[Share] | None,
    ) -> Outcome:
        metadata = obj["metadata"]
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = f"{metadata['generateName'][:58]}{self._sources.suffix()}"
        key = kind.key(namespace, metadata.get("name") or "")
        refusals.check_place(obj, kind, key)
        self._check_namespace(kind, key)
        time = self._sources.timestamp()
        upkeep.set_new_metadata(obj, kind, key, uid=self._sources.uid(), time=time)
        if kind.has_status:
            obj.pop("status", None)
        self._gate.admit(kind, obj, None, options, warnings)
        if self._store.get(key) is not None:
            raise errors.AlreadyExists(
                f'{kind.qualified_plural} "{key.name}" already exists', details=refusals.details(kind, key.name)
            )
        if shares is None:
            writer = Writer(options.manager, ownership.UPDATE, kind.api_version, options.subresource)
            owned = ownership.owned(obj, kind.schema, subresource="", has_status=kind.has_status)
            shares = [Share(writer, frozenset(owned), time)]
        _record_shares(metadata, shares)
        return Outcome(self._store_object(kind, key, obj, options), is_new=True)

    def _change(
        self,
        kind: Kind,
        entry: Entry,
        obj: JsonObject,
        options: WriteOptions,
        warnings: Warnings,
        *,
        shares: list[Share] | None,
    ) -> Outcome:
        live = kind.served(entry.body)
        refusals.check_place(obj, kind, entry.key)
        refusals.check_version(obj, live, kind)
        base = _incoming_shares(obj, live)
        obj = upkeep.restrict(obj, live, kind, options.subresource)
        upkeep.keep_metadata(obj, live)
        self._gate.admit(kind, obj, live, options, warnings)
        refusals.check_finalizers(obj, live, kind)
        if kind.has_generation and options.subresource != "status" and upkeep.has_new_intent(obj, live, kind):
            obj["metadata"]["generation"] = live["metadata"].get("generation", 0) + 1
        if shares is None:
            shares = self._shares_after_update(kind, base, obj, live, options)
        _record_shares(obj["metadata"], shares)
        if objects.is_equal(obj, live):
            return Outcome(live)
        stored = self._store_object(kind, entry.key, obj, options)
        changed = self._store.get(entry.key)
        if changed is not None and not options.is_dry_run and objects.is_terminating(changed.body):
            gone = self.finish_deletion(kind, changed)
            return Outcome(kind.served(gone) if gone is not None else stored)
        return Outcome(stored)

    def _shares_after_update(
        self, kind: Kind, base: list[Share], obj: JsonObject, live: JsonObject, options: WriteOptions
    ) -> list[Share]:
        writer = Writer(options.manager, ownership.UPDATE, kind.api_version, options.subresource)
        before = ownership.owned(live, kind.schema, subresource=options.subresource, has_status=kind.has_status)
        after = ownership.owned(obj, kind.schema, subresource=options.subresource, has_status=kind.has_status)
        return ownership.after_update(base, writer, before, after, time=self._sources.timestamp())

    def _store_object(self, kind: Kind, key: Key, obj: JsonObject, options: WriteOptions) -> JsonObject:
        if options.is_dry_run:
            return obj
        stored = kind.to_stored(obj)
        entry = self._store.put(key, stored, kind.selectable_of(stored))
        return kind.served(entry.body)

    def _check_namespace(self, kind: Kind, key: Key) -> None:
        if not kind.is_namespaced:
            return
        namespace = self._store.get(Key(NAMESPACES, "", key.namespace))
        if namespace is None:
            details = {"name": key.namespace, "kind": "namespaces"}
            raise errors.NotFound(f'namespaces "{key.namespace}" not found', details=details)
        if objects.is_terminating(namespace.body):
            raise refusals.namespace_terminating(kind, key)


def _seed(kind: Kind, key: Key) -> JsonObject:
    metadata = {"name": key.name, "namespace": key.namespace} if kind.is_namespaced else {"name": key.name}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}


def _with_owner(live: JsonObject, kind: Kind, time: str) -> JsonObject:
    """Return an object with an owner for what was there before the first apply, if nobody owns anything."""
    metadata = live["metadata"]
    if metadata.get("managedFields") or not metadata.get("uid"):
        return live
    fields = frozenset(ownership.owned(live, kind.schema, subresource="", has_status=kind.has_status))
    share = Share(Writer("before-first-apply", ownership.UPDATE, kind.api_version), fields, time)
    return {**live, "metadata": {**metadata, "managedFields": ownership.write([share])}}


def _incoming_shares(obj: JsonObject, live: JsonObject) -> list[Share]:
    """Return the shares to start from: those that the client sent, if any; `[{}]` resets them."""
    sent = obj["metadata"].get("managedFields")
    if sent == [{}]:
        return []
    return ownership.read(obj) if sent else ownership.read(live)


def _record_shares(metadata: JsonObject, shares: list[Share]) -> None:
    metadata.pop("managedFields", None)
    written = ownership.write(shares)
    if written:
        metadata["managedFields"] = written

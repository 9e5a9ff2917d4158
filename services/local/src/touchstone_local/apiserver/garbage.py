"""Garbage collection: dependents go after their owners, contents go with their namespace, objects with their kind.

It follows the log of changes and is level-triggered: what it does depends on what is stored, not on what happened, and
at its start it looks at everything once.
"""

import asyncio
import logging
from collections import OrderedDict, defaultdict
from datetime import timedelta

from touchstone_local.apiserver import store as stores
from touchstone_local.apiserver.builtins.contents import NAMESPACES
from touchstone_local.apiserver.changes import Changes, Sources
from touchstone_local.apiserver.core import crds, events, kinds, objects
from touchstone_local.apiserver.core.events import Event
from touchstone_local.apiserver.core.kinds import Kind
from touchstone_local.apiserver.core.objects import JsonObject, Key
from touchstone_local.apiserver.core.options import DeleteOptions, Warnings, WriteOptions
from touchstone_local.apiserver.deletions import FOREGROUND_FINALIZER, ORPHAN_FINALIZER, Deletions
from touchstone_local.apiserver.errors import Conflict, NotFound
from touchstone_local.apiserver.registry import Registry
from touchstone_local.apiserver.store import Entry, Store

EVENT_LIFE = timedelta(hours=1)
EXPIRY_PERIOD_SECONDS = 60.0
_STEPS_AT_ONCE = 20
"""Objects looked at before requests get their turn."""
_OPTIONS = WriteOptions(manager="kube-controller-manager")
_EVENTS = "/events"
_log = logging.getLogger(__name__)


class Collector:
    """Deletes what nothing needs any more."""

    def __init__(
        self, store: Store, registry: Registry, changes: Changes, deletions: Deletions, sources: Sources
    ) -> None:
        self._store = store
        self._registry = registry
        self._changes = changes
        self._deletions = deletions
        self._sources = sources
        self._keys_by_uid: dict[str, Key] = {}
        self._owners_of: dict[Key, frozenset[str]] = {}
        self._dependents_of: defaultdict[str, set[Key]] = defaultdict(set)
        self._due: OrderedDict[Key, None] = OrderedDict()

    def start(self) -> None:
        """Look at everything that is stored, and at each change from now on."""
        for storage in self._store.storages():
            for entry in self._store.list(storage):
                self._index(entry.key, entry.body)
                self._due[entry.key] = None
        self._store.subscribe(self._note)

    async def run(self) -> None:
        """Collect until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._expire_events())

    async def _follow(self) -> None:
        while True:
            for _ in range(_STEPS_AT_ONCE):
                if not self._due:
                    break
                key, _ = self._due.popitem(last=False)
                self._examine(key)
            if self._due:
                await asyncio.sleep(0)
            else:
                await self._store.changed(stores.ALL)

    async def _expire_events(self) -> None:
        while True:
            oldest = self._sources.now() - EVENT_LIFE
            kind = self._registry.of_storage(_EVENTS)
            for entry in self._store.list(_EVENTS):
                last = objects.parse_time(entry.body.get("lastTimestamp")) or objects.parse_time(
                    entry.body["metadata"]["creationTimestamp"]
                )
                if kind is not None and last is not None and last < oldest:
                    self._delete(kind, entry)
            await asyncio.sleep(EXPIRY_PERIOD_SECONDS)

    def _note(self, event: Event, body: JsonObject) -> None:
        """Take a change into the index, and what it concerns into the work."""
        uid = objects.uid(body)
        if event.type == events.DELETED:
            self._due.update(dict.fromkeys(self._dependents_of.get(uid, ())))
            owners = self._owners_of.get(event.key, frozenset())
            self._due.update(dict.fromkeys(self._keys_by_uid[owner] for owner in owners if owner in self._keys_by_uid))
            self._forget(event.key, uid)
            self._due[Key(NAMESPACES, "", event.key.namespace)] = None
            group, _, plural = event.key.storage.partition("/")
            self._due[Key(crds.STORAGE, "", f"{plural}.{group}")] = None
            return
        self._index(event.key, body)
        if objects.is_terminating(body) or self._owners_of.get(event.key):
            self._due[event.key] = None

    def _index(self, key: Key, body: JsonObject) -> None:
        self._keys_by_uid[objects.uid(body)] = key
        owners = frozenset(owner.uid for owner in objects.owners(body))
        for uid in self._owners_of.get(key, frozenset()) - owners:
            self._dependents_of[uid].discard(key)
        for uid in owners:
            self._dependents_of[uid].add(key)
        if owners:
            self._owners_of[key] = owners
        else:
            self._owners_of.pop(key, None)

    def _forget(self, key: Key, uid: str) -> None:
        self._keys_by_uid.pop(uid, None)
        for owner in self._owners_of.pop(key, frozenset()):
            self._dependents_of[owner].discard(key)
        if not self._dependents_of.get(uid):
            self._dependents_of.pop(uid, None)

    def _examine(self, key: Key) -> None:
        entry = self._store.get(key)
        kind = self._registry.of_storage(key.storage)
        if entry is None or kind is None:
            return
        try:
            if objects.is_terminating(entry.body):
                self._help_going(kind, entry)
            elif key in self._owners_of:
                self._check_owners(kind, entry)
        except (Conflict, NotFound):
            _log.debug("%s changed while it was looked at; its next change brings it back.", key)

    def _check_owners(self, kind: Kind, entry: Entry) -> None:
        absent = {uid for uid in self._owners_of[entry.key] if not self._is_owner(uid, entry.key)}
        if not absent:
            return
        if absent == self._owners_of[entry.key]:
            self._delete(kind, entry)
        else:
            self._cut_owners(kind, entry, absent)

    def _is_owner(self, uid: str, dependent: Key) -> bool:
        """Whether an owner exists where the dependent may have one: in its namespace, or outside all of them."""
        key = self._keys_by_uid.get(uid)
        return key is not None and key.namespace in ("", dependent.namespace)

    def _help_going(self, kind: Kind, entry: Entry) -> None:
        finalizers = objects.finalizers(entry.body)
        if FOREGROUND_FINALIZER in finalizers:
            self._finish_foreground(kind, entry)
        elif ORPHAN_FINALIZER in finalizers:
            self._finish_orphan(kind, entry)
        elif entry.key.storage == NAMESPACES:
            self._empty_namespace(kind, entry)
        elif crds.CLEANUP_FINALIZER in finalizers and entry.key.storage == crds.STORAGE:
            self._empty_definition(kind, entry)

    def _finish_foreground(self, kind: Kind, entry: Entry) -> None:
        uid = objects.uid(entry.body)
        is_blocked = False
        for key in list(self._dependents_of.get(uid, ())):
            dependent, of_kind = self._store.get(key), self._registry.of_storage(key.storage)
            if dependent is None or of_kind is None:
                continue
            if not objects.is_terminating(dependent.body):
                self._delete(of_kind, dependent, propagation=kinds.FOREGROUND)
            left = self._store.get(key)
            if left is not None:
                is_blocked |= any(owner.uid == uid and owner.blocks_deletion for owner in objects.owners(left.body))
        if not is_blocked:
            self._drop_finalizer(kind, entry.key, FOREGROUND_FINALIZER)

    def _finish_orphan(self, kind: Kind, entry: Entry) -> None:
        uid = objects.uid(entry.body)
        for key in list(self._dependents_of.get(uid, ())):
            dependent, of_kind = self._store.get(key), self._registry.of_storage(key.storage)
            if dependent is not None and of_kind is not None:
                self._cut_owners(of_kind, dependent, {uid})
        self._drop_finalizer(kind, entry.key, ORPHAN_FINALIZER)

    def _empty_namespace(self, kind: Kind, entry: Entry) -> None:
        is_empty = True
        for storage in self._store.storages():
            of_kind = self._registry.of_storage(storage)
            for content in self._store.list(storage, entry.key.name):
                if of_kind is not None and not objects.is_terminating(content.body):
                    self._delete(of_kind, content)
                is_empty = is_empty and self._store.get(content.key) is None
        if is_empty:
            body = {**entry.body, "spec": {}}
            emptied = self._store.put(entry.key, objects.clone(body), entry.subject)
            self._changes.finish_deletion(kind, emptied)

    def _empty_definition(self, kind: Kind, entry: Entry) -> None:
        spec = entry.body["spec"]
        storage = f"{spec['group']}/{spec['names']['plural']}"
        of_kind = self._registry.of_storage(storage)
        for instance in self._store.list(storage):
            if of_kind is not None and not objects.is_terminating(instance.body):
                self._delete(of_kind, instance)
        if not self._store.list(storage):
            self._drop_finalizer(kind, entry.key, crds.CLEANUP_FINALIZER)

    def _delete(self, kind: Kind, entry: Entry, *, propagation: str = kinds.BACKGROUND) -> None:
        options = DeleteOptions(propagation=propagation, uid=objects.uid(entry.body))
        self._deletions.delete(kind, entry.key, options, Warnings())

    def _cut_owners(self, kind: Kind, entry: Entry, uids: set[str]) -> None:
        def cut(obj: JsonObject) -> JsonObject:
            references = [entry for entry in obj["metadata"]["ownerReferences"] if entry["uid"] not in uids]
            return {**obj, "metadata": {**obj["metadata"], "ownerReferences": references}}

        self._changes.patch(kind, entry.key, cut, _OPTIONS, Warnings())

    def _drop_finalizer(self, kind: Kind, key: Key, finalizer: str) -> None:
        def drop(obj: JsonObject) -> JsonObject:
            left = [name for name in objects.finalizers(obj) if name != finalizer]
            metadata = {name: value for name, value in obj["metadata"].items() if name != "finalizers"}
            return {**obj, "metadata": {**metadata, **({"finalizers": left} if left else {})}}

        self._changes.patch(kind, key, drop, _OPTIONS, Warnings())

"""Puts the API server together."""

import asyncio
import logging
import secrets
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from starlette.types import ASGIApp

from touchstone_local.apiserver import credentials, pki, serving
from touchstone_local.apiserver.adapters.cel import CelJudge
from touchstone_local.apiserver.admission import Admission
from touchstone_local.apiserver.builtins import contents, definitions, loading, workloads
from touchstone_local.apiserver.changes import Changes, Sources
from touchstone_local.apiserver.core import crds, events
from touchstone_local.apiserver.core.events import Event
from touchstone_local.apiserver.core.objects import JsonObject
from touchstone_local.apiserver.core.options import Warnings, WriteOptions
from touchstone_local.apiserver.deletions import Deletions
from touchstone_local.apiserver.errors import AlreadyExists
from touchstone_local.apiserver.garbage import Collector
from touchstone_local.apiserver.http import app
from touchstone_local.apiserver.http.documents import Documents
from touchstone_local.apiserver.http.resources import Resources, Services
from touchstone_local.apiserver.reads import Reads
from touchstone_local.apiserver.registry import Registry
from touchstone_local.apiserver.settings import ApiServerSettings
from touchstone_local.apiserver.store import Store
from touchstone_local.apiserver.watching import Watches

SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""Kubernetes' own: no vowels, so that no words come out."""
FIRST_NAMESPACES = ("default", "kube-system")
_log = logging.getLogger(__name__)


class ApiServer:
    """The parts of a server over one store."""

    def __init__(self, store: Store, sources: Sources) -> None:
        self._store = store
        self._registry = Registry(loading.load())
        judge = CelJudge()
        behaviours = {
            **contents.BEHAVIOURS,
            **workloads.BEHAVIOURS,
            crds.STORAGE: definitions.behaviour(judge.fault, self._definitions, sources.timestamp),
        }
        gate = Admission(behaviours, judge)
        self._changes = Changes(store, gate, sources)
        deletions = Deletions(store, gate, self._changes, sources)
        self.watches = Watches(store)
        self.collector = Collector(store, self._registry, self._changes, deletions, sources)
        self._services = Services(
            store=store,
            registry=self._registry,
            changes=self._changes,
            deletions=deletions,
            reads=Reads(store),
            watches=self.watches,
            now=sources.now,
        )
        self._start()

    def app(self, token: str) -> ASGIApp:
        """Return the application that serves the parts to whoever holds the token."""
        return app.create(Documents(self._registry), Resources(self._services), token=token)

    def _start(self) -> None:
        for crd in self._definitions():
            self._registry.put_definition(crd)
        for kind in self._registry.all():
            if not kind.is_view:
                self._store.reindex(kind.storage, kind.selectable_of)
        self._store.subscribe(self._note_definition)
        self.collector.start()
        namespaces = self._registry.find("", "v1", "namespaces")
        for name in FIRST_NAMESPACES:
            try:
                if namespaces is not None:
                    options = WriteOptions(manager="touchstone-apiserver")
                    self._changes.create(namespaces, "", {"metadata": {"name": name}}, options, Warnings())
            except AlreadyExists:
                _log.debug("The namespace %s is there already.", name)

    def _definitions(self) -> list[JsonObject]:
        return [entry.body for entry in self._store.list(crds.STORAGE)]

    def _note_definition(self, event: Event, body: JsonObject) -> None:
        if event.key.storage != crds.STORAGE:
            return
        if event.type == events.DELETED:
            self._registry.drop_definition(event.key.name)
            return
        for kind in self._registry.put_definition(body):
            if not kind.is_view:
                self._store.reindex(kind.storage, kind.selectable_of)


async def run(settings: ApiServerSettings) -> None:
    """Serve until cancelled.

    Raises:
        ListenRefused: The address is not loopback.
        StateBusy: Another server holds the state folder.
    """
    address = serving.parse_listen(settings.listen)
    state_dir = settings.state_dir.resolve()
    store = Store(state_dir / "apiserver.sqlite", kept_events=settings.kept_events)
    try:
        server = ApiServer(store, sources())
        identity = pki.ensure(state_dir / "pki", address.host, utc_now())
        token = credentials.ensure_token(state_dir / "pki" / "token")
        listener = serving.bind(address)
        bound = address._replace(port=listener.getsockname()[1])
        async with asyncio.TaskGroup() as group, serving.running(server.app(token), listener, identity):
            collecting = group.create_task(server.collector.run())
            url = f"https://{bound}"
            credentials.write_kubeconfig(settings.kubeconfig, server=url, authority=identity.authority, token=token)
            _log.info("The API server listens on %s; its kubeconfig is %s.", url, settings.kubeconfig)
            try:
                await asyncio.Event().wait()
            finally:
                server.watches.stop()
                collecting.cancel()
    finally:
        store.close()


def sources(now: Callable[[], datetime] | None = None) -> Sources:
    """Return real identities, and the real time unless another is given."""
    return Sources(now=now or utc_now, uid=lambda: str(uuid.uuid4()), suffix=_suffix)


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


def _suffix() -> str:
    return "".join(secrets.choice(SUFFIX_ALPHABET) for _ in range(5))

"""What the router knows of the cluster: models, their revisions, the replicas that are ready. Pure.

A View takes records as they come, in any order, and gives immutable snapshots. Only the models that a record touches
are rebuilt, so a snapshot costs what changed, not what there is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from touchstone_runtime.revisions import Manifest

from touchstone_inference import errors


class Strategy(StrEnum):
    """How a replica is chosen; the values of `spec.serving.routing.strategy`."""

    ROUND_ROBIN = "RoundRobin"
    LEAST_LOAD = "LeastLoad"
    PREFIX_AWARE = "PrefixAware"


class Door(StrEnum):
    """Through what a model is asked; the switches of `spec.expose`."""

    GRPC = "grpc"
    OPEN_AI = "openAI"


EVERY_DOOR = frozenset(Door)
EXTERNAL = "External"
"""The engine type whose revisions have no pods: the endpoint is the address in the manifest."""
NO_ADAPTER = "none"
"""What a request names as its adapter to get the model without any, where there is a default one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionStatus:
    """What a ModelDeployment's status says of one revision."""

    digest: str
    weight_percent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What requests are held to; `spec.serving.slo`. Seconds; None: anything goes."""

    first_token_seconds: float | None = None
    per_token_seconds: float | None = None

    def is_kept(self, first_token_seconds: float, per_token_seconds: float | None) -> bool:
        """Tell whether a request kept to all of it: such requests are the goodput (Zhong et al., DistServe, 2024)."""
        first, each = self.first_token_seconds, self.per_token_seconds
        return (first is None or first_token_seconds <= first) and (
            each is None or per_token_seconds is None or per_token_seconds <= each
        )


NO_OBJECTIVE = Objective()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentRecord:
    """A ModelDeployment, as far as routing needs it."""

    id: str
    owner: str
    """`NAMESPACE/NAME`."""
    served_name: str
    strategy: Strategy
    session_header: str
    objective: Objective = NO_OBJECTIVE
    doors: frozenset[Door] = EVERY_DOOR
    stable_revision: str
    statuses: Mapping[str, RevisionStatus]
    created_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionRecord:
    """A revision's ConfigMap with its manifest, whose digest was checked."""

    id: str
    owner: str
    name: str
    digest: str
    manifest: Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaRecord:
    """An engine pod that is ready."""

    id: str
    owner: str
    revision: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A replica that can be called."""

    id: str
    """Unique in its revision."""
    address: str
    """`HOST:PORT`; for an External engine its base URL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One bundle of a model with its traffic and its ready replicas."""

    name: str
    digest: str
    manifest: Manifest
    weight_percent: int
    endpoints: tuple[Endpoint, ...]

    def adapter(self, asked: str) -> str:
        """Say which adapter answers a request: its replicas all load the same ones before they serve.

        Args:
            asked: The adapter that the request names; empty: it chooses none, `none`: it wants the model without any.

        Returns:
            The adapter's name; empty: the model without any.

        Raises:
            AdapterNotLoaded: There is none of this name.
        """
        bundle = self.manifest.bundle
        if asked in ("", NO_ADAPTER):
            return "" if asked else bundle.default_adapter
        known = sorted(each.name for each in bundle.adapters)
        if asked not in known:
            raise errors.AdapterNotLoaded(asked, known)
        return asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A ModelDeployment with the revisions that have a manifest."""

    name: str
    """`NAMESPACE/NAME`."""
    served_name: str
    strategy: Strategy
    session_header: str
    objective: Objective = NO_OBJECTIVE
    doors: frozenset[Door] = EVERY_DOOR
    """Those that are open."""
    stable_revision: str
    created_at: datetime | None
    revisions: Mapping[str, Revision]
    """By name, in the order of the names."""

    def enter(self, door: Door) -> None:
        """Come in by a door. Raises ModelNotExposed where it is closed."""
        if door not in self.doors:
            raise errors.ModelNotExposed(self.name, door, sorted(self.doors))


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The whole view at one moment."""

    default_namespace: str = "default"
    models: Mapping[str, Model] = field(default_factory=dict)
    served: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Models by served name; more than one where the name is not unique."""

    def find(self, name: str) -> Model:
        """Find a model by `NAMESPACE/NAME`, by `NAME` in the default namespace, or by a unique served name.

        Raises:
            ModelNotFound: No model has the name, or several are served under it.
        """
        model = self.models.get(name) or self.models.get(f"{self.default_namespace}/{name}")
        if model is not None:
            return model
        candidates = self.served.get(name, ())
        if len(candidates) == 1:
            return self.models[candidates[0]]
        raise errors.ModelNotFound(name, candidates)


class _Record(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def owner(self) -> str: ...


R = TypeVar("R", bound=_Record)


class Table(Generic[R]):
    """Records of one kind by id and by the model that owns them; remembers which models they touched."""

    def __init__(self) -> None:
        self._by_id: dict[str, R] = {}
        self._by_owner: dict[str, dict[str, R]] = {}
        self._touched: set[str] = set()

    def put(self, record: R) -> None:
        """Add a record, or replace the one with the same id."""
        if self._by_id.get(record.id) == record:
            return
        self.remove(record.id)
        self._by_id[record.id] = record
        self._by_owner.setdefault(record.owner, {})[record.id] = record
        self._touched.add(record.owner)

    def remove(self, record_id: str) -> None:
        """Drop a record; an absent one changes nothing."""
        record = self._by_id.pop(record_id, None)
        if record is None:
            return
        siblings = self._by_owner[record.owner]
        del siblings[record_id]
        if not siblings:
            del self._by_owner[record.owner]
        self._touched.add(record.owner)

    def replace(self, records: Iterable[R]) -> None:
        """Make these the only records."""
        kept = {record.id: record for record in records}
        for absent in self._by_id.keys() - kept.keys():
            self.remove(absent)
        for record in kept.values():
            self.put(record)

    def owned_by(self, owner: str) -> Iterable[R]:
        """Give the records of one model."""
        return self._by_owner.get(owner, {}).values()

    def take_touched(self) -> set[str]:
        """Give the models touched since the last call."""
        touched, self._touched = self._touched, set()
        return touched


class View:
    """Folds records into snapshots."""

    def __init__(self, default_namespace: str = "default") -> None:
        self.deployments: Table[DeploymentRecord] = Table()
        self.revisions: Table[RevisionRecord] = Table()
        self.replicas: Table[ReplicaRecord] = Table()
        self._snapshot = Snapshot(default_namespace=default_namespace)

    def snapshot(self) -> Snapshot:
        """Give the view as it now stands; the same object while nothing changed."""
        tables = (self.deployments, self.revisions, self.replicas)
        touched = set().union(*(table.take_touched() for table in tables))
        rebuilt = {owner: self._build(owner) for owner in touched}
        before = self._snapshot.models
        changed = {owner: model for owner, model in rebuilt.items() if model != before.get(owner)}
        if changed:
            models = {name: model for name, model in {**before, **changed}.items() if model is not None}
            self._snapshot = Snapshot(
                default_namespace=self._snapshot.default_namespace,
                models=dict(sorted(models.items())) if models.keys() != before.keys() else models,
                served=_by_served_name(models.values()),
            )
        return self._snapshot

    def _build(self, owner: str) -> Model | None:
        deployment = next(iter(self.deployments.owned_by(owner)), None)
        if deployment is None:
            return None
        endpoints: dict[str, list[Endpoint]] = {}
        for replica in self.replicas.owned_by(owner):
            endpoints.setdefault(replica.revision, []).append(Endpoint(id=replica.id, address=replica.address))
        records = sorted(self.revisions.owned_by(owner), key=lambda record: record.name)
        built = (_revision(record, deployment, endpoints.get(record.name, [])) for record in records)
        return Model(
            name=owner,
            served_name=deployment.served_name,
            strategy=deployment.strategy,
            session_header=deployment.session_header,
            objective=deployment.objective,
            doors=deployment.doors,
            stable_revision=deployment.stable_revision,
            created_at=deployment.created_at,
            revisions={revision.name: revision for revision in built},
        )


def _revision(record: RevisionRecord, deployment: DeploymentRecord, endpoints: list[Endpoint]) -> Revision:
    status = deployment.statuses.get(record.name)
    # A name holds ten digits of a digest only: an entry for another digest gives this one no traffic.
    weight = status.weight_percent if status and status.digest == record.digest else 0
    engine = record.manifest.bundle.engine
    if engine.type == EXTERNAL:
        endpoints = [Endpoint(id="external", address=engine.args.get("base-url", ""))]
    return Revision(
        name=record.name,
        digest=record.digest,
        manifest=record.manifest,
        weight_percent=weight,
        endpoints=tuple(sorted(endpoints, key=lambda endpoint: endpoint.id)),
    )


def _by_served_name(models: Iterable[Model]) -> dict[str, tuple[str, ...]]:
    served: dict[str, list[str]] = {}
    for model in models:
        served.setdefault(model.served_name, []).append(model.name)
    return {name: tuple(sorted(owners)) for name, owners in served.items()}

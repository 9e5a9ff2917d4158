"""What the reconcilers need from outside, in the domain's words. Adapters implement it; tests bring fakes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from touchstone_runtime.revisions import Digest

from touchstone_operator.api.common import ObjectReference
from touchstone_operator.api.evalrun import EvalRunSpec
from touchstone_operator.api.finetunejob import DataPipeline, DatasetStatus, FinetuneJobSpec
from touchstone_operator.api.modelselection import SelectionObjective
from touchstone_operator.api.prices import PriceStatus
from touchstone_operator.api.ragindex import IndexRevisionStatus, RagIndexSpec
from touchstone_operator.objects import JsonObject, Kind


class Cluster(Protocol):
    """The Kubernetes API. Errors: ClusterUnavailable, ClusterForbidden, ClusterRefused, StaleObject."""

    async def get(self, kind: Kind, namespace: str, name: str) -> JsonObject | None:
        """Read an object; None when there is none."""
        ...

    async def list(self, kind: Kind, namespace: str, *, labels: Mapping[str, str] | None = None) -> list[JsonObject]:
        """Read the objects of a namespace, of all namespaces when it is empty, that have all of these labels."""
        ...

    async def apply(self, kind: Kind, obj: JsonObject) -> None:
        """Apply an object server-side: the full wanted object, one field manager, conflicts taken over."""
        ...

    async def create(self, kind: Kind, obj: JsonObject) -> bool:
        """Create an object; False when the name is taken."""
        ...

    async def patch_status(self, kind: Kind, obj: JsonObject, patch: JsonObject) -> JsonObject:
        """Merge a patch into the status of an object as it was read. Raises StaleObject when it has changed."""
        ...

    async def patch_metadata(self, kind: Kind, obj: JsonObject, patch: JsonObject) -> JsonObject:
        """Merge a patch into the metadata of an object as it was read. Raises StaleObject when it has changed."""
        ...

    async def delete(self, kind: Kind, obj: JsonObject) -> None:
        """Delete an object as it was read, by uid and resourceVersion. An absent one is fine."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A revision as the services are told of it."""

    name: str
    digest: Digest
    price: PriceStatus | None = None
    """What its answers cost; None: nobody said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subjects:
    """Who takes part in a run: what is measured, what it is compared with, who judges."""

    subject: Measured
    baseline: Measured | None = None
    judges: Mapping[str, Measured] = field(default_factory=dict)
    """By `SUITE/JUDGE`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """An evaluation to start."""

    dispatch_id: str
    namespace: str
    spec: EvalRunSpec
    subjects: Subjects


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """An evaluation as its service knows it: the parts of an EvalRun's status that come from there."""

    state: str
    """Pending, Running, Completed or Cancelled."""
    verdict: str = ""
    """Passed, Failed, Inconclusive or Error; empty until Completed."""
    results: JsonObject = field(default_factory=dict)
    """Fields of EvalRunStatus: message, score, criteria, progress, usage, artifacts, suiteDigest, times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionRequest:
    """A choice to make."""

    selection_id: str
    candidates: Mapping[str, str]
    """The dispatch id of the run that measured each, by the candidate's name."""
    objectives: Sequence[SelectionObjective]
    excluded: Mapping[str, str]
    """Why others were not measured, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionReport:
    """A choice as the evaluation service knows it."""

    state: str
    """Pending, Completed or Failed."""
    message: str = ""
    results: JsonObject = field(default_factory=dict)
    """Fields of ModelSelectionStatus: chosen, message, candidates, artifacts."""


class Evaluation(Protocol):
    """The evaluation service. Errors: PeerUnavailable, PeerRefused."""

    async def select(self, request: SelectionRequest) -> SelectionReport:
        """Begin a choice, or look at one that was begun."""
        ...

    async def start(self, request: RunRequest) -> RunReport:
        """Start a run; starting again with the same dispatch id returns the same run."""
        ...

    async def get(self, dispatch_id: str) -> RunReport:
        """Read a run. Raises RunNotFound."""
        ...

    async def cancel(self, dispatch_id: str) -> None:
        """Cancel a run; a finished or unknown one is fine."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildReport:
    """A build as the retrieval service knows it."""

    state: str
    """Pending, Running, Succeeded, Failed or Cancelled."""
    stage: str = ""
    documents_done: int = 0
    documents_total: int = 0
    error_reason: str = ""
    error_message: str = ""
    revision: IndexRevisionStatus | None = None
    """Set when Succeeded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredIndex:
    """An index as the store knows it."""

    active_revision: str = ""
    revisions: tuple[str, ...] = ()


class Retrieval(Protocol):
    """The retrieval service. Errors: PeerUnavailable, PeerRefused. An index is named `NAMESPACE/NAME`."""

    async def start_build(self, dispatch_id: str, index: str, spec: RagIndexSpec) -> BuildReport:
        """Start a build; starting again with the same dispatch id returns the same build."""
        ...

    async def get_build(self, dispatch_id: str) -> BuildReport:
        """Read a build. Raises BuildNotFound."""
        ...

    async def cancel_build(self, dispatch_id: str) -> None:
        """Cancel a build; an ended or unknown one is fine."""
        ...

    async def get_index(self, index: str) -> StoredIndex:
        """Read an index; one without revisions when the store does not know it."""
        ...

    async def activate(self, index: str, revision: str) -> None:
        """Make a built revision the one that searches see; repeating it succeeds."""
        ...

    async def delete_revision(self, index: str, revision: str) -> None:
        """Remove a revision; an absent one is fine."""
        ...

    async def delete_index(self, index: str) -> None:
        """Remove an index with all its revisions; an absent one is fine."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineReport:
    """A pipeline as the data service knows it."""

    state: str
    """Pending, Running, Succeeded, Failed or Cancelled."""
    stage: str = ""
    """What is being done, for people."""
    error_reason: str = ""
    error_message: str = ""
    snapshot: DatasetStatus | None = None
    """Set when Succeeded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineRequest:
    """A pipeline to start."""

    dispatch_id: str
    namespace: str
    name: str
    pipeline: DataPipeline
    secret: ObjectReference | None = None
    """The Secret in the namespace with the keys of its sources and of its output; None: none are needed."""
    models: Mapping[str, Measured] = field(default_factory=dict)
    """The revisions that its steps ask, by the pipeline's names of them."""


class Data(Protocol):
    """The data service. Errors: PeerUnavailable, PeerRefused."""

    async def start(self, request: PipelineRequest) -> PipelineReport:
        """Start a pipeline; starting again with the same dispatch id returns the same one."""
        ...

    async def get(self, dispatch_id: str) -> PipelineReport:
        """Read a pipeline. Raises PipelineNotFound."""
        ...

    async def cancel(self, dispatch_id: str) -> None:
        """Cancel a pipeline; an ended or unknown one is fine."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSource:
    """What is trained on."""

    uri: str
    digest: str = ""
    """The expected one; empty: whatever is there."""
    secret: ObjectReference | None = None
    """The Secret in the job's namespace with the keys of its store; None: none are needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRequest:
    """A training to start."""

    dispatch_id: str
    namespace: str
    """Where the Secrets lie that its spec names."""
    run: str
    """Whose training it is: those of one run share their checkpoints."""
    spec: FinetuneJobSpec
    data: DataSource | None
    """None: a merge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingReport:
    """A training as the finetuning service knows it."""

    state: str
    """Pending, Running, Succeeded, Failed or Cancelled."""
    stage: str = ""
    waits_for: str = ""
    """What keeps it from beginning; empty: nothing."""
    error_reason: str = ""
    error_message: str = ""
    heartbeat_time: str = ""
    """When its worker was last heard of; empty: never."""
    results: JsonObject = field(default_factory=dict)
    """Fields of FinetuneJobStatus: attempts, preemptions, progress, metrics, notes, checkpoint, artifact, and more."""


class Finetuning(Protocol):
    """The finetuning service. Errors: PeerUnavailable, PeerRefused."""

    async def start(self, request: TrainingRequest) -> TrainingReport:
        """Start a training; starting again with the same dispatch id returns the same one."""
        ...

    async def get(self, dispatch_id: str) -> TrainingReport:
        """Read a training. Raises TrainingNotFound."""
        ...

    async def cancel(self, dispatch_id: str) -> None:
        """Cancel a training; an ended or unknown one is fine."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """A histogram in seconds; the last bucket has no upper bound."""

    upper_bounds: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveMetrics:
    """Counters of one revision over a window, summed over the router's replicas."""

    requests: int
    errors: int
    time_to_first_token: Distribution = Distribution()
    time_per_output_token: Distribution = Distribution()
    queue_time: Distribution = Distribution()
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    good_requests: int | None = None
    """Those that kept to the objectives; None: the model has none."""
    window_seconds: float = 0.0
    """How long the router that began last has looked."""
    is_complete: bool = True
    """Whether all routers have told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """What the engines of a revision say of themselves."""

    engines: int
    measured_engines: int = 0
    """How many of them know their chip and their work."""
    mfu: float = 0.0
    mbu: float = 0.0
    peak_output_tokens_per_second: float = 0.0
    """Of all of them, after their models were loaded; 0: not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What has moved between prefill and decode of a revision since its engines started, as they count it."""

    engines: int
    engines_without_connector: int
    remote_prompts: int = 0
    """Prompts that prefill engines computed, counted by those who sent them."""
    failed_prompts: int = 0
    transfers: int = 0
    transferred_bytes: int = 0
    transferred_tokens: int = 0
    failed_transfers: int = 0


class Traffic(Protocol):
    """The router's counters. Errors: PeerUnavailable, PeerRefused."""

    async def moved(self, model: str, revision: str) -> Moved:
        """Read what has moved between prefill and decode; model is `NAMESPACE/NAME`."""
        ...

    async def reached(self, model: str, revision: str) -> Reached:
        """Read what the engines of a revision reach; model is `NAMESPACE/NAME`."""
        ...

    async def metrics(self, model: str, revision: str, window_seconds: int) -> LiveMetrics:
        """Read the counters of a revision; model is `NAMESPACE/NAME`."""
        ...


class Models(Protocol):
    """Digests of weights."""

    async def digest(self, uri: str, *, credentials: Mapping[str, str]) -> Digest:
        """Find out the digest of weights.

        Raises:
            ModelUnresolved: It is being found out; ask again later.
            ModelNotFound: There are no such weights, or they do not have their digest.
        """
        ...


class Clock(Protocol):
    """Tells the time; tests bring their own."""

    def __call__(self) -> datetime:
        """Tell the time, in UTC."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """Everything outside that the reconcilers use."""

    cluster: Cluster
    evaluation: Evaluation
    retrieval: Retrieval
    data: Data
    finetuning: Finetuning
    traffic: Traffic
    models: Models
    now: Clock

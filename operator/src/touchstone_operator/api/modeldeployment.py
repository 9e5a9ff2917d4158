"""ModelDeployment: a served model. Its bundle becomes a revision; a revision gets traffic only through its gates."""

from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from touchstone_operator.api.bundles import AdapterSpec, EngineSpec, ModelSource, PromptSource, RagSource
from touchstone_operator.api.common import (
    AGE_COLUMN,
    READY_COLUMN,
    REASON_COLUMN,
    ApiModel,
    Column,
    Conditions,
    DigestString,
    Name,
    ObjectName,
    Percent,
    Resource,
    RevisionName,
    Text,
    Timestamp,
    keyed,
    rules,
    text,
)
from touchstone_operator.api.evaluations import GateResult
from touchstone_operator.api.observations import LastFailure, Performance, ScalingStatus
from touchstone_operator.api.prices import Price
from touchstone_operator.api.rollouts import Rollout
from touchstone_operator.api.servings import Access, AdapterPolicy, Cache, Expose, Serving, Tracing


class ModelDeploymentSpec(ApiModel):
    """The bundle (model, adapters, prompt, rag, engine), how it is run, and how it is rolled out."""

    model: ModelSource
    """model is the weights."""
    adapters: Annotated[tuple[AdapterSpec, ...], keyed(16)] | None = None
    """adapters are LoRA adapters. Unset: none."""
    default_adapter: Name | None = None
    """defaultAdapter names the adapter of requests that choose none. Unset: the model without any."""
    adapter_policy: AdapterPolicy | None = None
    """adapterPolicy bounds adapters. Unset: the defaults of its fields."""
    prompt: PromptSource | None = None
    """prompt is the prompt template. Unset: the conversation goes to the model as it is."""
    rag: RagSource | None = None
    """rag puts passages of an index into the prompt. Unset: no retrieval."""
    engine: EngineSpec
    """engine runs the model."""
    serving: Serving | None = None
    """serving is the shape at run time; not part of the digest. Unset: aggregated, one replica."""
    cache: Cache | None = None
    """cache is where weights are kept. Unset: in the pod, which fetches them for itself."""
    access: Access | None = None
    """access says who may call. Unset: by the router, whoever has the verb use on the ModelDeployment."""
    expose: Expose | None = None
    """expose says through which doors. Unset: gRPC and the OpenAI-compatible one."""
    tracing: Tracing | None = None
    """tracing overrides the platform's. Unset: the platform's."""
    rollout: Rollout | None = None
    """rollout says how a new revision takes over. Unset: blue/green without gates."""
    price: Price | None = None
    """price is what answers cost, for evaluations; not part of the digest. Unset: nothing is said of it."""
    suspend: bool = False
    """suspend stops rollouts; what serves goes on serving."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.adapters) || size(self.adapters) == 0 || self.engine.type != 'External'",
                "remove adapters, or use an engine that loads them: VLLM, LlamaCpp or Scripted",
            ),
            (
                (
                    "!has(self.defaultAdapter) || "
                    "(has(self.adapters) && self.adapters.exists(a, a.name == self.defaultAdapter))"
                ),
                "defaultAdapter must be the name of one of adapters",
            ),
            (
                "self.engine.type != 'External' || !has(self.serving) || self.serving.mode == 'Aggregated'",
                "an External engine has no roles of its own: remove serving, or set serving.mode to Aggregated",
            ),
        )
    )


class RevisionComponents(ApiModel):
    """What a revision is made of, as digests."""

    model: DigestString
    """model is the weights' digest."""
    prompt: DigestString | None = None
    """prompt is the template's digest."""
    rag_index: RevisionName | None = None
    """ragIndex is the index revision."""
    engine_image: Annotated[str, text(512)] | None = None
    """engineImage is the image with its digest."""


class RevisionStatus(ApiModel):
    """A revision and its traffic."""

    name: RevisionName
    """name of the revision."""
    digest: DigestString
    """digest of the bundle."""
    components: RevisionComponents | None = None
    """components are what it is made of."""
    weight_percent: Percent = 0
    """weightPercent is its share of the traffic."""
    gates: Annotated[tuple[GateResult, ...], keyed(16)] | None = None
    """gates are what its gates came to."""
    created_at: Timestamp | None = None
    """createdAt is when it was first seen."""
    ready_replicas: Annotated[int, Field(ge=0)] | None = None
    """readyReplicas is how many engines are ready."""
    retired_at: Timestamp | None = None
    """retiredAt is when it last had traffic; its engines drain from then."""


class RolloutStatus(ApiModel):
    """Where a rollout stands."""

    step_index: Annotated[int, Field(ge=0)] = 0
    """stepIndex is the present step, from 0."""
    step_count: Annotated[int, Field(ge=0)] = 0
    """stepCount is how many steps there are."""
    weight_percent: Percent = 0
    """weightPercent is the candidate's share of the traffic."""
    started_at: Timestamp | None = None
    """startedAt is when the candidate was made."""
    step_started_at: Timestamp | None = None
    """stepStartedAt is when the present step began."""
    promoted_at: Timestamp | None = None
    """promotedAt is when the stable revision took over; the bake runs from then."""
    previous_revision: RevisionName | None = None
    """previousRevision is what an automatic rollback returns to."""
    message: Text | None = None
    """message says what is being waited for."""


class RoleStatus(ApiModel):
    """Replicas of one role, of the current revision only."""

    name: Name
    """name of the role."""
    desired: Annotated[int, Field(ge=0)] = 0
    """desired is how many are wanted."""
    ready: Annotated[int, Field(ge=0)] = 0
    """ready is how many are ready."""
    updated: Annotated[int, Field(ge=0)] = 0
    """updated is how many run the current revision."""


class AdapterStatus(ApiModel):
    """An adapter of the current revision."""

    name: Name
    """name is how requests refer to it."""
    digest: DigestString
    """digest of its contents."""
    ready_endpoints: Annotated[int, Field(ge=0)] = 0
    """readyEndpoints is how many engines have it loaded: one serves only when it has all of them."""
    finetune_job: ObjectName | None = None
    """finetuneJob is the FinetuneJob that made it. Unset: it was given by its address."""


class Endpoints(ApiModel):
    """Where the model is reached."""

    grpc: Text | None = None
    """grpc is the address of the InferenceService."""
    open_ai: Annotated[Text | None, Field(alias="openAI")] = None
    """openAI is the address of the OpenAI-compatible door."""


class ModelDeploymentStatus(ApiModel):
    """What is known of the deployment. The router reads stableRevision and revisions[].weightPercent."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """observedGeneration is the generation that was observed."""
    endpoints: Endpoints | None = None
    """endpoints are where the model is reached."""
    stable_revision: RevisionName | None = None
    """stableRevision is the revision that serves."""
    candidate_revision: RevisionName | None = None
    """candidateRevision is the revision on its way; unset when there is none."""
    failed_revision: RevisionName | None = None
    """failedRevision is the last revision that did not pass its gates for the observed generation."""
    revisions: Annotated[tuple[RevisionStatus, ...], keyed(32)] | None = None
    """revisions that are kept."""
    rollout: RolloutStatus | None = None
    """rollout says where the rollout stands."""
    roles: Annotated[tuple[RoleStatus, ...], keyed(8)] | None = None
    """roles count replicas of the current revision."""
    adapters: Annotated[tuple[AdapterStatus, ...], keyed(16)] | None = None
    """adapters of the current revision. Unset: it has none."""
    scaling: ScalingStatus | None = None
    """scaling is how replicas have changed. Unset: they have not."""
    performance: Performance | None = None
    """performance of the revision that serves. Unset: nothing was measured yet."""
    last_failure: LastFailure | None = None
    """lastFailure is the last failure of an engine."""
    conditions: Conditions | None = None
    """conditions: Ready, ModelCached, WorkloadsReady, CandidateAvailable, Promoted, RolledBack and the kstatus pair."""


class ModelDeployment(Resource):
    """A ModelDeployment serves a model; a new revision of it gets traffic only when its gates pass."""

    kind_name: ClassVar[str] = "ModelDeployment"
    plural: ClassVar[str] = "modeldeployments"
    short_name: ClassVar[str] = "mdep"
    object_rules: ClassVar = (
        (
            "size(self.metadata.name) <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
            (
                "metadata.name must have at most 40 characters, begin with a letter, and hold only a-z, 0-9 and '-': "
                "names of children add a suffix to it"
            ),
        ),
    )
    columns: ClassVar[tuple[Column, ...]] = (
        READY_COLUMN,
        REASON_COLUMN,
        Column(name="Stable", jsonPath=".status.stableRevision", description="The revision that serves."),
        Column(name="Candidate", jsonPath=".status.candidateRevision", description="The revision on its way."),
        Column(
            name="Weight",
            type="integer",
            jsonPath=".status.rollout.weightPercent",
            description="The candidate's share of the traffic.",
        ),
        Column(
            name="Gate",
            jsonPath='.status.conditions[?(@.type=="Promoted")].reason',
            description="What the gates came to.",
        ),
        Column(name="Endpoint", jsonPath=".status.endpoints.grpc", description="Where it is reached.", priority=1),
        AGE_COLUMN,
    )

    spec: ModelDeploymentSpec
    """spec is what should serve."""
    status: ModelDeploymentStatus = ModelDeploymentStatus()
    """status is what is known; only the operator writes it."""


__all__ = [
    "AdapterStatus",
    "Endpoints",
    "ModelDeployment",
    "ModelDeploymentSpec",
    "ModelDeploymentStatus",
    "RevisionComponents",
    "RevisionStatus",
    "RoleStatus",
    "RolloutStatus",
]

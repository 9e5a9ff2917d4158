"""The shape at run time: roles, replicas, access. Not part of a revision's digest."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from touchstone_operator.api.common import (
    ApiModel,
    Decimal,
    Labels,
    Name,
    ObjectName,
    ObjectReference,
    OpenObject,
    Seconds,
    Text,
    keyed,
    rules,
    text,
)

Quantity = Annotated[str, text(32, pattern=r"^[0-9]+(\.[0-9]+)?([numkMGTPE]|[KMGTPE]i)?$")]
"""A Kubernetes quantity, for example 500m or 2Gi."""


class Gpu(ApiModel):
    """Accelerators of one replica."""

    count: Annotated[int, Field(ge=0, le=64)]
    """count is how many."""
    resource_name: Annotated[str, text(253)] = "nvidia.com/gpu"
    """resourceName is the device plugin's resource."""


class Resources(ApiModel):
    """Resources of one replica, as requests and limits alike."""

    cpu: Quantity | None = None
    """cpu in cores. Unset: the platform's default."""
    memory: Quantity | None = None
    """memory in bytes. Unset: the platform's default."""
    gpu: Gpu | None = None
    """gpu are accelerators. Unset: none."""


class SecretKeySelector(ApiModel):
    """A key of a Secret in the same namespace."""

    name: ObjectName
    """name of the Secret."""
    key: Annotated[str, text(253)]
    """key within it."""


class EnvVarSource(ApiModel):
    """Where a variable's value comes from."""

    secret_key_ref: SecretKeySelector
    """secretKeyRef is a key of a Secret."""


class EnvVar(ApiModel):
    """An environment variable."""

    name: Annotated[str, text(128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    """name of the variable."""
    value: Annotated[str, text(4096)] | None = None
    """value of the variable. Exactly one of value and valueFrom is set."""
    value_from: EnvVarSource | None = None
    """valueFrom reads the value from a Secret."""

    model_config = ConfigDict(
        json_schema_extra=rules(("has(self.value) != has(self.valueFrom)", "set exactly one of value and valueFrom"))
    )


class PodTemplate(ApiModel):
    """The few parts of a pod that a user may set."""

    labels: Labels | None = None
    """labels are put on the pods."""
    annotations: Labels | None = None
    """annotations are put on the pods."""
    node_selector: Labels | None = None
    """nodeSelector chooses nodes."""
    tolerations: Annotated[tuple[OpenObject, ...], Field(max_length=16)] | None = None
    """tolerations as in a pod."""
    affinity: OpenObject | None = None
    """affinity as in a pod."""
    topology_spread_constraints: Annotated[tuple[OpenObject, ...], Field(max_length=8)] | None = None
    """topologySpreadConstraints as in a pod."""
    priority_class_name: ObjectName | None = None
    """priorityClassName as in a pod."""
    runtime_class_name: ObjectName | None = None
    """runtimeClassName as in a pod."""
    service_account_name: ObjectName | None = None
    """serviceAccountName as in a pod."""
    env: Annotated[tuple[EnvVar, ...], keyed(32)] | None = None
    """env are more environment variables."""
    image_pull_secrets: Annotated[tuple[ObjectReference, ...], Field(max_length=8)] | None = None
    """imagePullSecrets as in a pod."""


class Parallelism(ApiModel):
    """How one replica is spread over accelerators."""

    tensor: Annotated[int, Field(ge=1, le=64)] = 1
    """tensor splits each layer."""
    pipeline: Annotated[int, Field(ge=1, le=64)] = 1
    """pipeline splits the layers."""
    data: Annotated[int, Field(ge=1, le=64)] = 1
    """data makes copies."""
    expert: bool = False
    """expert spreads experts over accelerators."""


class ScalingMetric(ApiModel):
    """A metric that replicas follow."""

    type: Literal["OngoingRequests", "KVCacheUsage"]
    """type of the metric."""
    target: Decimal
    """target is the value for one replica."""


class Scaling(ApiModel):
    """How many replicas, by load."""

    min_replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    """minReplicas is the fewest under load."""
    max_replicas: Annotated[int, Field(ge=1, le=1000)]
    """maxReplicas is the most."""
    idle_replicas: Annotated[int, Field(ge=0, le=1000)] | None = None
    """idleReplicas is how many are kept without load. Unset: minReplicas."""
    idle_after_seconds: Seconds = 900
    """idleAfterSeconds is how long without load until idleReplicas apply."""
    scale_down_delay_seconds: Seconds = 300
    """scaleDownDelaySeconds is how long load must be low before replicas go."""
    metrics: Annotated[tuple[ScalingMetric, ...], keyed(4, "type")] | None = None
    """metrics that replicas follow. Unset: ongoing requests."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("self.minReplicas <= self.maxReplicas", "minReplicas must not exceed maxReplicas"),
            (
                "!has(self.idleReplicas) || self.idleReplicas < self.minReplicas",
                "idleReplicas must be less than minReplicas",
            ),
        )
    )


class RoleSpec(ApiModel):
    """The replicas of one role."""

    replicas: Annotated[int, Field(ge=0, le=1000)] | None = None
    """replicas is a fixed number. Unset, without scaling: 1."""
    scaling: Scaling | None = None
    """scaling follows the load. Unset: a fixed number."""
    parallelism: Parallelism | None = None
    """parallelism of one replica. Unset: none."""
    resources: Resources | None = None
    """resources of one replica. Unset: the platform's defaults."""
    pod_template: PodTemplate | None = None
    """podTemplate sets parts of the pods."""

    model_config = ConfigDict(
        json_schema_extra=rules(("!(has(self.replicas) && has(self.scaling))", "set replicas or scaling, not both"))
    )


class Decider(ApiModel):
    """When a prompt is prefilled remotely."""

    min_prompt_tokens: Annotated[int, Field(ge=0, le=16_777_216)] = 512
    """minPromptTokens is the shortest prompt that goes to a prefill replica."""


class KVTransfer(ApiModel):
    """How key-value blocks get from prefill to decode."""

    connector: Literal["Nixl", "LMCache", "SharedStorage", "Scripted"] = "Nixl"
    """connector moves the blocks."""
    decider: Decider | None = None
    """decider says when a prompt is prefilled remotely. Unset: from 512 tokens."""
    failure_policy: Literal["RecomputeLocally", "Fail"] = "RecomputeLocally"
    """failurePolicy says what a failed transfer does."""
    timeout_seconds: Annotated[int, Field(ge=1, le=600)] = 30
    """timeoutSeconds is the deadline of a transfer."""


class Routing(ApiModel):
    """How a replica is chosen."""

    strategy: Literal["RoundRobin", "LeastLoad", "PrefixAware"] = "PrefixAware"
    """strategy chooses the replica: in turn, the least loaded, or the one whose prefix cache fits."""
    session_header: Annotated[str, text(64, pattern=r"^[a-z0-9-]+$")] = "x-session-id"
    """sessionHeader names the header that keeps a session together."""


class Slo(ApiModel):
    """Service-level objectives."""

    ttft_p95_millis: Annotated[int | None, Field(ge=1, alias="ttftP95Millis")] = None
    """ttftP95Millis is the objective for the 95th percentile of the time to the first token."""
    itl_p95_millis: Annotated[int | None, Field(ge=1, alias="itlP95Millis")] = None
    """itlP95Millis is the objective for the 95th percentile of the time between tokens."""


class Serving(ApiModel):
    """The roles of a revision."""

    mode: Literal["Aggregated", "Disaggregated"] = "Aggregated"
    """mode is Aggregated (one role) or Disaggregated (prefill and decode apart)."""
    aggregated: RoleSpec | None = None
    """aggregated is the one role of mode Aggregated."""
    prefill: RoleSpec | None = None
    """prefill processes prompts, in mode Disaggregated."""
    decode: RoleSpec | None = None
    """decode generates tokens, in mode Disaggregated."""
    kv_transfer: Annotated[KVTransfer | None, Field(alias="kvTransfer")] = None
    """kvTransfer moves key-value blocks, in mode Disaggregated."""
    routing: Routing | None = None
    """routing chooses replicas. Unset: by prefix."""
    slo: Slo | None = None
    """slo are the objectives. Unset: none."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "(self.mode == 'Disaggregated') == (has(self.prefill) && has(self.decode))",
                "set prefill and decode for mode Disaggregated, and only for it",
            ),
            (
                "(self.mode == 'Aggregated') == has(self.aggregated)",
                "set aggregated for mode Aggregated, and only for it",
            ),
            (
                "self.mode != 'Disaggregated' || has(self.kvTransfer)",
                "set kvTransfer: Disaggregated moves key-value blocks between the roles",
            ),
        )
    )


class AdapterPolicy(ApiModel):
    """Bounds of LoRA adapters."""

    max_adapters: Annotated[int, Field(ge=0, le=1024)] = 4
    """maxAdapters is how many are loaded at once."""
    max_rank: Annotated[int, Field(ge=1, le=512)] = 64
    """maxRank is the largest rank."""
    max_cpu_adapters: Annotated[int, Field(ge=0, le=1024)] = 16
    """maxCpuAdapters is how many are kept in main memory."""


class PersistentVolumeClaim(ApiModel):
    """A volume for weights."""

    claim_name: ObjectName
    """claimName of the PersistentVolumeClaim."""
    sub_path: Annotated[str, text(512)] | None = None
    """subPath within it. Unset: its root."""


class Cache(ApiModel):
    """Where weights are kept."""

    type: Literal["PVC", "EmptyDir"] = "EmptyDir"
    """type of the volume."""
    pvc: PersistentVolumeClaim | None = None
    """pvc is the volume of type PVC."""
    prefetch: bool = False
    """prefetch fetches the weights before pods start."""

    model_config = ConfigDict(
        json_schema_extra=rules(("(self.type == 'PVC') == has(self.pvc)", "set pvc for type PVC, and only for it"))
    )


class Auth(ApiModel):
    """How callers prove who they are."""

    type: Literal["ServiceAccountToken", "None"] = "ServiceAccountToken"
    """type is ServiceAccountToken, or None, which lets everybody in and must be spelled out."""
    audiences: Annotated[tuple[Annotated[str, text(253)], ...], Field(max_length=8)] = ("touchstone.dev",)
    """audiences that a token must name."""


class Quota(ApiModel):
    """A caller's budget."""

    subject: Annotated[str, text(253)]
    """subject is the caller, as Kubernetes names it."""
    requests_per_minute: Annotated[int, Field(ge=0)] | None = None
    """requestsPerMinute is the most requests. Unset: no bound."""
    tokens_per_minute: Annotated[int, Field(ge=0)] | None = None
    """tokensPerMinute is the most tokens, prompt and output. Unset: no bound."""


class Access(ApiModel):
    """Who may call."""

    allowed_namespaces: Annotated[tuple[Name, ...], Field(max_length=64)] | None = None
    """allowedNamespaces may reach the engines themselves, past the router and what it asks for. Unset: none."""
    auth: Auth | None = None
    """auth says how callers prove who they are. Unset: by service account token."""
    quotas: Annotated[tuple[Quota, ...], keyed(64, "subject")] | None = None
    """quotas by caller. Unset: none."""


class Expose(ApiModel):
    """Through which doors the model is reached."""

    grpc: bool = True
    """grpc opens the InferenceService. False: it answers only who names a revision, as evaluations and pipelines do."""
    open_ai: Annotated[bool, Field(alias="openAI")] = True
    """openAI opens the OpenAI-compatible door. False: there the model is not found."""
    inference_pool: bool = False
    """inferencePool makes a Gateway API InferencePool too."""


class Tracing(ApiModel):
    """Tracing of requests."""

    enabled: bool = True
    """enabled switches traces on."""
    sampling_ratio: Decimal = "1"
    """samplingRatio is the share of requests traced, 0 to 1."""
    endpoint: Text | None = None
    """endpoint of the OTLP collector. Unset: the platform's."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "double(self.samplingRatio) >= 0.0 && double(self.samplingRatio) <= 1.0",
                "samplingRatio must lie between 0 and 1",
            )
        )
    )

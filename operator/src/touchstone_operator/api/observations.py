"""What was seen of a deployment at run time: failures, scaling, performance. Only the operator writes it."""

from typing import Annotated, Literal

from pydantic import Field

from touchstone_operator.api.common import ApiModel, Decimal, Name, RevisionName, Text, Timestamp, keyed, text


class LastFailure(ApiModel):
    """The last failure of an engine."""

    reason: Text
    """reason is one word in UpperCamelCase: Kubernetes' own, such as OOMKilled, or EngineExited."""
    message: Text | None = None
    """message says what happened."""
    exit_code: int | None = None
    """exitCode of the process. Unset: it never ran."""
    role: Name | None = None
    """role that failed."""
    revision: RevisionName | None = None
    """revision that it belonged to."""
    time: Timestamp | None = None
    """time of the failure."""


class ScalingDecision(ApiModel):
    """A change of a role's replicas."""

    time: Timestamp
    """time when it was seen."""
    role: Name
    """role whose replicas changed."""
    from_replicas: Annotated[int, Field(ge=0)]
    """fromReplicas is how many were wanted before."""
    to_replicas: Annotated[int, Field(ge=0)]
    """toReplicas is how many are wanted since."""
    reason: Literal["SpecChanged", "LoadRose", "LoadFell"]
    """reason is SpecChanged, or what the load did that the replicas follow."""


class ScalingStatus(ApiModel):
    """How replicas have changed while a revision served."""

    last_scale_time: Timestamp | None = None
    """lastScaleTime is when they changed last."""
    history: Annotated[tuple[ScalingDecision, ...], Field(max_length=5)] | None = None
    """history is the last five changes, the newest first."""


class PerformanceMetric(ApiModel):
    """One number."""

    name: Annotated[str, text(64, pattern=r"^[a-z][A-Za-z0-9]*$")]
    """name is what was measured."""
    value: Decimal
    """value as a decimal, to three digits."""
    unit: Annotated[str, text(16)]
    """unit of the value: tok/s, requests/s, ms, or 1 for a share from 0 to 1."""


class Performance(ApiModel):
    """How the revision that serves performs, by the router's counters and the engines' own."""

    measured_at: Timestamp
    """measuredAt is when it was looked at last while there was traffic, or after the model was loaded."""
    revision: RevisionName
    """revision that was measured."""
    metrics: Annotated[tuple[PerformanceMetric, ...], keyed(16)]
    """metrics over the last five minutes of traffic; peakTokensPerSecond after the model was loaded."""


__all__ = ["LastFailure", "Performance", "PerformanceMetric", "ScalingDecision", "ScalingStatus"]

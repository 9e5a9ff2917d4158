"""EvalRun: one evaluation of one subject. Its spec never changes once made."""

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from touchstone_operator.api.common import (
    AGE_COLUMN,
    ApiModel,
    Column,
    Conditions,
    Decimal,
    DigestString,
    Name,
    ObjectName,
    Resource,
    RevisionName,
    Timestamp,
    Uri,
    keyed,
    rules,
    text,
    unchanging,
)
from touchstone_operator.api.evaluations import EVALUATION_RULES, Evaluation, Reuse, RevisionReference
from touchstone_operator.api.prices import PriceStatus

IMMUTABLE = ("subject", "suites", "criteria", "activeDeadlineSeconds", "backoffLimit")
IMMUTABLE_OPTIONAL = ("baseline", "execution", "outputs", "reuse")


class Subject(ApiModel):
    """What is measured."""

    type: Literal["ModelDeployment", "RagIndex"]
    """type is the kind of the subject."""
    model_deployment_ref: RevisionReference | None = None
    """modelDeploymentRef names the ModelDeployment."""
    rag_index_ref: RevisionReference | None = None
    """ragIndexRef names the RagIndex."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "(self.type == 'ModelDeployment') == has(self.modelDeploymentRef)",
                "set modelDeploymentRef for type ModelDeployment, and only for it",
            ),
            (
                "(self.type == 'RagIndex') == has(self.ragIndexRef)",
                "set ragIndexRef for type RagIndex, and only for it",
            ),
        )
    )


class Baseline(ApiModel):
    """What the subject is compared with."""

    type: Literal["Revision", "None"] = "Revision"
    """type is Revision, another revision of the same subject, or None."""
    revision: RevisionName | None = None
    """revision is the revision's name. Unset: the one that serves when the run starts."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("self.type == 'Revision' || !has(self.revision)", "remove revision, or set type to Revision")
        )
    )


class EvalRunSpec(Evaluation):
    """What to measure, against what, and what must hold."""

    subject: Subject
    """subject is what is measured."""
    baseline: Baseline | None = None
    """baseline is what it is compared with. Unset: nothing."""
    reuse: Reuse | None = None
    """reuse says whether an earlier verdict may stand in. Unset: it may, for a week."""
    suspend: bool = False
    """suspend keeps the run from starting."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            *EVALUATION_RULES,
            (
                "!self.criteria.exists(c, has(c.relative)) || (has(self.baseline) && self.baseline.type != 'None')",
                "set baseline: a relative criterion compares with it",
            ),
            *unchanging("EvalRun", required=IMMUTABLE, optional=IMMUTABLE_OPTIONAL),
        )
    )


class BusinessStatus(ApiModel):
    """What a measured value means for the business."""

    name: Annotated[str, text(127)]
    """name says what it is."""
    unit: Annotated[str, text(16)] | None = None
    """unit of its values."""
    value: Decimal
    """value is what the subject's value means."""
    baseline: Decimal | None = None
    """baseline is what the baseline's value means. Unset: none was measured."""
    ci_low: Decimal | None = None
    """ciLow is what one end of the value's interval means, the smaller of both."""
    ci_high: Decimal | None = None
    """ciHigh is what the other end means."""
    is_beyond: bool = False
    """isBeyond says that a value lies beyond the curve: what is told is the curve's end."""


class CriterionStatus(ApiModel):
    """What a criterion came to."""

    name: Name
    """name of the criterion."""
    metric: Annotated[str, text(127)] | None = None
    """metric is `SUITE/METRIC`."""
    verdict: Literal["Passed", "Failed", "Inconclusive", "Error"]
    """verdict of the criterion."""
    value: Decimal | None = None
    """value of the subject. Unset: not measured."""
    baseline: Decimal | None = None
    """baseline is its value. Unset: none was measured."""
    delta: Decimal | None = None
    """delta is value minus baseline."""
    ci_low: Decimal | None = None
    """ciLow is the interval's lower bound: of delta, or of value where there is no baseline."""
    ci_high: Decimal | None = None
    """ciHigh is the interval's upper bound."""
    p_value: Decimal | None = None
    """pValue is of the exact McNemar test, for 0/1 metrics with a baseline."""
    samples: Annotated[int, Field(ge=0)] = 0
    """samples is how many items it rests on."""
    advised_samples: Annotated[int, Field(ge=0)] | None = None
    """advisedSamples is about how many items would tell what these did not. Unset: they did, or no number would."""
    business: BusinessStatus | None = None
    """business is what the value means for the business. Unset: nobody said, or there is no value."""
    message: Annotated[str, text(1024)] | None = None
    """message says why."""


class RunProgress(ApiModel):
    """How far a run is."""

    items_done: Annotated[int, Field(ge=0)] = 0
    """itemsDone is how many items are through."""
    items_total: Annotated[int, Field(ge=0)] = 0
    """itemsTotal is how many there are; 0 while unknown."""
    items_reused: Annotated[int, Field(ge=0)] = 0
    """itemsReused is how many of the done ones were predicted before."""
    items_failed: Annotated[int, Field(ge=0)] = 0
    """itemsFailed is how many of the done ones failed."""
    last_updated_time: Timestamp | None = None
    """lastUpdatedTime is when a worker last reported."""


class RunUsage(ApiModel):
    """What a run spent."""

    input_tokens: Annotated[int, Field(ge=0)] = 0
    """inputTokens is the number of prompt tokens."""
    output_tokens: Annotated[int, Field(ge=0)] = 0
    """outputTokens is the number of generated tokens."""
    judge_tokens: Annotated[int, Field(ge=0)] = 0
    """judgeTokens is the number of tokens that judges were sent and wrote."""
    wall_seconds: Annotated[int, Field(ge=0)] = 0
    """wallSeconds is from the first item to the verdict."""


class Artifact(ApiModel):
    """A file that a run left."""

    name: Name
    """name is what it is: report, items."""
    uri: Uri
    """uri is where it lies."""
    digest: DigestString | None = None
    """digest of its content."""


class JudgeStatus(ApiModel):
    """The revision that judges."""

    name: Annotated[str, text(127)]
    """name is `SUITE/JUDGE`."""
    revision: RevisionName
    """revision that judges in this run."""
    digest: DigestString
    """digest of it: the verdict is bound to it."""


class EvalRunStatus(ApiModel):
    """What is known of the run."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """observedGeneration is the generation that was observed."""
    dispatch_id: Annotated[str, text(128)] | None = None
    """dispatchId names the run in the evaluation service."""
    attempts: Annotated[int, Field(ge=0)] | None = None
    """attempts is how often the run was started."""
    subject_revision: RevisionName | None = None
    """subjectRevision is the revision that is measured."""
    subject_digest: DigestString | None = None
    """subjectDigest is its digest: the verdict is bound to it."""
    baseline_revision: RevisionName | None = None
    """baselineRevision is the revision it is compared with."""
    baseline_digest: DigestString | None = None
    """baselineDigest is its digest."""
    subject_price: PriceStatus | None = None
    """subjectPrice is what its answers cost when the run began."""
    baseline_price: PriceStatus | None = None
    """baselinePrice is what those of the baseline cost."""
    judges: Annotated[tuple[JudgeStatus, ...], keyed(80)] | None = None
    """judges are the revisions that judge."""
    suite_digest: DigestString | None = None
    """suiteDigest is of datasets, tasks, sampling and criteria."""
    verdict: Literal["Passed", "Failed", "Inconclusive", "Error"] | None = None
    """verdict of the run; unset until it is finished."""
    message: Annotated[str, text(4096)] | None = None
    """message says why."""
    score: Decimal | None = None
    """score is the suites' weighted mean; for display only."""
    criteria: Annotated[tuple[CriterionStatus, ...], keyed(32)] | None = None
    """criteria are the results."""
    progress: RunProgress | None = None
    """progress counts items."""
    usage: RunUsage | None = None
    """usage is what the run spent."""
    artifacts: Annotated[tuple[Artifact, ...], keyed(16)] | None = None
    """artifacts are the files that the run left."""
    start_time: Timestamp | None = None
    """startTime is when the first item was taken."""
    completion_time: Timestamp | None = None
    """completionTime is when the verdict was reached."""
    reused_from: ObjectName | None = None
    """reusedFrom names the EvalRun whose verdict stands in."""
    conditions: Conditions | None = None
    """conditions: Succeeded, Passed, Suspended, Reconciling, Stalled."""


class EvalRun(Resource):
    """An EvalRun measures a revision, compares it with a baseline, and ends in one verdict."""

    kind_name: ClassVar[str] = "EvalRun"
    plural: ClassVar[str] = "evalruns"
    short_name: ClassVar[str] = "evr"
    columns: ClassVar[tuple[Column, ...]] = (
        Column(name="Subject", jsonPath=".status.subjectRevision", description="The revision that is measured."),
        Column(name="Verdict", jsonPath=".status.verdict", description="What the run came to."),
        Column(name="Score", jsonPath=".status.score", description="The suites' weighted mean; for display only."),
        Column(name="Done", type="integer", jsonPath=".status.progress.itemsDone", description="Items done."),
        Column(name="Items", type="integer", jsonPath=".status.progress.itemsTotal", description="Items in all."),
        Column(
            name="Succeeded",
            jsonPath='.status.conditions[?(@.type=="Succeeded")].status',
            description="Whether the run finished; a failed verdict is a finished run.",
            priority=1,
        ),
        Column(name="Message", jsonPath=".status.message", description="Why.", priority=1),
        AGE_COLUMN,
    )

    spec: EvalRunSpec
    """spec is what to measure and what must hold. Immutable but for suspend and ttlSecondsAfterFinished."""
    status: EvalRunStatus = EvalRunStatus()
    """status is what is known; only the operator writes it."""


__all__ = [
    "Artifact",
    "Baseline",
    "CriterionStatus",
    "EvalRun",
    "EvalRunSpec",
    "EvalRunStatus",
    "RevisionReference",
    "RunProgress",
    "RunUsage",
    "Subject",
]

"""What is measured and what must hold: shared by EvalRun and by the gates of the other kinds."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from touchstone_operator.api.common import (
    SECRET_RULE,
    ApiModel,
    Decimal,
    DigestString,
    Name,
    ObjectName,
    ObjectReference,
    OpenObject,
    RevisionName,
    Seconds,
    Uri,
    keyed,
    rules,
    text,
)

METRIC_PATTERN = r"^[a-z0-9-]+/[a-z0-9_@.]+$"
JmesPath = Annotated[str, text(1024)]


class Dataset(ApiModel):
    """A list of items."""

    uri: Annotated[
        Uri,
        Field(
            json_schema_extra=rules(
                (
                    "self.matches('^(file|pypi|s3|gs|hf|https?)://.+')",
                    "uri must begin with file://, pypi://, s3://, gs://, hf://, http:// or https://",
                )
            )
        ),
    ]
    """uri is the artefact's address."""
    digest: DigestString | None = None
    """digest is the content's expected digest. Unset: taken as found, and part of the suite digest."""
    format: Literal["JSONLines", "SQuAD", "JSON", "CSV", "Arrow"] = "JSONLines"
    """format is how to read it, gzipped or not."""
    records: JmesPath | None = None
    """records is a JMESPath expression that selects the list of records, and may rename their fields, as
    [].{question: prompt}. Unset: all."""
    filter: JmesPath | None = None
    """filter is a JMESPath expression; items for which it is false are left out. Unset: none are."""
    limit: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """limit is the most items, drawn without replacement by seed. Unset: all."""
    seed: Annotated[int, Field(ge=0, le=2_147_483_647)] = 0
    """seed draws the items."""
    credentials_secret_ref: ObjectReference | None = None
    """credentialsSecretRef names the Secret with the keys of the store, for hf:// and s3://. Unset: none are needed."""

    model_config = ConfigDict(json_schema_extra=rules(SECRET_RULE))


class EvalSampling(ApiModel):
    """How answers are generated."""

    temperature: Decimal = "0"
    """temperature is the softmax temperature, 0 to 2. 0 is greedy."""
    max_output_tokens: Annotated[int, Field(ge=1, le=131_072)] = 64
    """maxOutputTokens is the most tokens of an answer."""
    repeats: Annotated[int, Field(ge=1, le=32)] = 1
    """repeats is how many answers are generated for each item."""
    seed: Annotated[int, Field(ge=0, le=2_147_483_647)] = 0
    """seed starts the random numbers."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "double(self.temperature) >= 0.0 && double(self.temperature) <= 2.0",
                "temperature must lie between 0 and 2",
            )
        )
    )


class RevisionReference(ApiModel):
    """A revision of a ModelDeployment or a RagIndex."""

    name: ObjectName
    """name of the object in the same namespace."""
    revision: RevisionName | None = None
    """revision is the revision's name. Unset: the one that serves when the run starts."""


class Judge(ApiModel):
    """A model that judges answers."""

    name: Name
    """name is unique in the suite."""
    model_deployment_ref: RevisionReference
    """modelDeploymentRef names the judging ModelDeployment."""


class Calibration(ApiModel):
    """How well the judges of a suite must be known to judge, for what they say to count."""

    suite: Name
    """suite is the one that measures it, as of the task judge-agreement with the same judges."""
    metric: Annotated[str, text(63, pattern=r"^[a-z0-9_@.]+$")] = "kappa"
    """metric of that suite."""
    at_least: Decimal
    """atLeast is the least value, at the lower end of its interval: below it, criteria on this suite's metrics are
    Inconclusive."""


class LoadShape(ApiModel):
    """The load of a `load` suite."""

    concurrency: Annotated[int, Field(ge=1, le=1024)] = 4
    """concurrency is how many requests run at once."""
    requests: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """requests ends the load after this many. Exactly one of requests and durationSeconds is set."""
    duration_seconds: Annotated[int, Field(ge=1, le=86_400)] | None = None
    """durationSeconds ends the load after this time."""
    input_tokens: Annotated[int, Field(ge=1, le=131_072)] = 64
    """inputTokens is the length of a synthetic prompt, in tokens."""
    output_tokens: Annotated[int, Field(ge=1, le=131_072)] = 32
    """outputTokens is the most tokens of an answer."""
    ttft_millis: Annotated[int, Field(ge=1)] | None = None
    """ttftMillis is the objective for the first token; a slower request is not goodput. Unset: none."""
    tpot_millis: Annotated[int, Field(ge=1)] | None = None
    """tpotMillis is the objective for the time between tokens. Unset: none."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "has(self.requests) != has(self.durationSeconds)",
                "set exactly one of requests and durationSeconds",
            )
        )
    )


class Suite(ApiModel):
    """One task over one dataset."""

    name: Name
    """name is unique in the run; metrics are named `SUITE/METRIC`."""
    task: Annotated[str, text(63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    """task is the registered task's name, for example question-answering; ListTasks gives them all."""
    dataset: Dataset | None = None
    """dataset is where the items come from. Unset only for a task that makes its own."""
    sampling: EvalSampling | None = None
    """sampling is how answers are generated. Unset: greedy, 64 tokens."""
    judges: Annotated[tuple[Judge, ...], keyed(5)] | None = None
    """judges are the models that judge answers, for tasks that have judges."""
    calibration: Calibration | None = None
    """calibration says how well the judges must be known to judge. Unset: they are taken at their word."""
    cluster_by: Annotated[str, text(63, pattern=r"^[A-Za-z0-9_.-]+$")] | None = None
    """clusterBy is the item metadata that tells which items belong together, as those of one document: intervals then
    resample documents. Unset: each item stands alone."""
    slice_by: (
        Annotated[tuple[Annotated[str, text(63, pattern=r"^[A-Za-z0-9_.-]+$")], ...], Field(max_length=4)] | None
    ) = None
    """sliceBy is the item metadata by which metrics are told apart. Unset: they are not."""
    contamination_corpus: Dataset | None = None
    """contaminationCorpus are texts that a model may have been trained on, or records with a `text`: metrics of items
    that stand in them are told apart from those of the others. Unset: nobody looks."""
    load: LoadShape | None = None
    """load is the load of a `load` suite."""
    parameters: OpenObject | None = None
    """parameters are the task's own; ListTasks gives their schema."""
    weight: Decimal = "1"
    """weight is the suite's share of the displayed score."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("(self.task == 'load') == has(self.load)", "set load for the task 'load', and only for it"),
            ("self.task == 'load' || has(self.dataset)", "set dataset: this task does not make its own items"),
            ("double(self.weight) >= 0.0", "weight must be 0 or more"),
            (
                "!has(self.calibration) || (has(self.judges) && self.calibration.suite != self.name)",
                "calibration is of judges, by another suite: set judges, and name that suite",
            ),
        )
    )


class AbsoluteCriterion(ApiModel):
    """A number that the measured value is compared with."""

    operator: Literal["GreaterOrEqual", "LessOrEqual"]
    """operator compares the measured value with value."""
    value: Decimal
    """value is the number."""


class RelativeCriterion(ApiModel):
    """A comparison with the baseline, item by item."""

    max_regression: Decimal | None = None
    """maxRegression is how much worse the subject may be, in the metric's unit: the whole interval must keep to it."""
    min_improvement: Decimal | None = None
    """minImprovement is how much better the subject must be, in the metric's unit: the whole interval must reach it."""
    confidence: Decimal = "0.95"
    """confidence is the interval's level."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("has(self.maxRegression) || has(self.minImprovement)", "set maxRegression, minImprovement or both"),
            ("!has(self.maxRegression) || double(self.maxRegression) >= 0.0", "maxRegression must be 0 or more"),
            (
                "double(self.confidence) > 0.5 && double(self.confidence) < 1.0",
                "confidence must lie between 0.5 and 1, for example 0.95",
            ),
        )
    )


class CurvePoint(ApiModel):
    """What one value of a metric means."""

    metric: Decimal
    """metric is the metric's value."""
    value: Decimal
    """value is what it means, in the business metric's unit."""


class BusinessMetric(ApiModel):
    """What the values of a metric mean for the business, as the team has found."""

    name: Annotated[str, text(127, min_length=1)]
    """name says what it is, as "tickets that nobody has to look at"."""
    unit: Annotated[str, text(16)] = ""
    """unit is the unit of its values, as "%"."""
    curve: Annotated[tuple[CurvePoint, ...], Field(min_length=2, max_length=16)]
    """curve rises or falls throughout; between its points values are interpolated linearly."""


class Criterion(ApiModel):
    """One thing that must hold."""

    name: Name
    """name is unique in the run."""
    metric: Annotated[str, text(127, pattern=METRIC_PATTERN)]
    """metric is `SUITE/METRIC`."""
    goal: Literal["Maximize", "Minimize"] | None = None
    """goal is the better direction. Unset: the metric's own."""
    absolute: AbsoluteCriterion | None = None
    """absolute compares the value with a number."""
    relative: RelativeCriterion | None = None
    """relative compares the subject with the baseline."""
    min_samples: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    """minSamples is the fewest items for a verdict; fewer make it Inconclusive."""
    required: bool = True
    """required says that the verdict of the run depends on it."""
    business_metric: BusinessMetric | None = None
    """businessMetric is what the metric's values mean for the business. Unset: nothing is said of it."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("has(self.absolute) || has(self.relative)", "set absolute, relative or both"),
        )
    )


class Execution(ApiModel):
    """Bounds of a run."""

    parallelism: Annotated[int, Field(ge=1, le=64)] = 4
    """parallelism is how many items run at once."""
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    """maxTokens is the token budget; above it the verdict is Inconclusive. Unset: none."""
    max_seconds: Annotated[int, Field(ge=1, le=604_800)] | None = None
    """maxSeconds is the most time from the first item on; above it the verdict is Inconclusive. Unset: none."""
    max_items: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """maxItems is the most items of all suites; where there are more, the verdict is Inconclusive. Unset: none."""
    stop_early: bool = False
    """stopEarly ends the run as soon as its verdict is certain, by intervals that hold at every look."""
    allow_code_execution: bool = False
    """allowCodeExecution lets tasks run code that a model wrote."""
    on_item_error: Literal["Count", "Exclude"] = "Count"
    """onItemError says what an item that failed counts as: the worst score, or nothing up to maxErrorRatio."""
    max_error_ratio: Decimal = "0.02"
    """maxErrorRatio is the largest share of failed items; above it the verdict is Error, never Passed."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "double(self.maxErrorRatio) >= 0.0 && double(self.maxErrorRatio) <= 1.0",
                "maxErrorRatio must lie between 0 and 1",
            )
        )
    )


class Outputs(ApiModel):
    """Where results go."""

    uri: Uri | None = None
    """uri is the folder of the reports. Unset: the platform's artefact store."""
    credentials_secret_ref: ObjectReference | None = None
    """credentialsSecretRef names the Secret with the store's credentials. Unset: the platform's own."""
    log_samples: bool = False
    """logSamples puts questions and answers into the report. Off: numbers and item ids only."""


class Reuse(ApiModel):
    """Whether an earlier verdict on identical digests may stand in for a run."""

    allow: bool = True
    """allow lets an earlier verdict stand in."""
    max_age_seconds: Seconds = 604_800
    """maxAgeSeconds is how old it may be."""


EVALUATION_RULES = (
    (
        "self.criteria.exists(c, c.required)",
        "at least one criterion must be required: without one the run decides nothing",
    ),
    (
        "self.suites.all(s, !has(s.calibration) || self.suites.exists(t, t.name == s.calibration.suite))",
        "calibration.suite must name a suite of the run",
    ),
    (
        "self.criteria.all(c, self.suites.exists(s, c.metric.startsWith(s.name + '/')))",
        "each criterion's metric must begin with the name of a suite and a slash",
    ),
)


class Evaluation(ApiModel):
    """Suites and criteria: the body of an EvalRun and of a gate's template."""

    suites: Annotated[tuple[Suite, ...], keyed(16), Field(min_length=1)]
    """suites are the measurements."""
    criteria: Annotated[tuple[Criterion, ...], keyed(32), Field(min_length=1)]
    """criteria are what must hold; all required ones must."""
    execution: Execution | None = None
    """execution bounds the run. Unset: the defaults of its fields."""
    outputs: Outputs | None = None
    """outputs says where results go. Unset: the platform's artefact store, without samples."""
    active_deadline_seconds: Annotated[int, Field(ge=1, le=604_800)] = 3600
    """activeDeadlineSeconds is the most wall time of a run; above it the verdict is Error."""
    backoff_limit: Annotated[int, Field(ge=0, le=10)] = 1
    """backoffLimit is how often a run that ended in Error is started again."""
    ttl_seconds_after_finished: Seconds | None = None
    """ttlSecondsAfterFinished removes a finished run after this time. Unset: it stays."""

    model_config = ConfigDict(json_schema_extra=rules(*EVALUATION_RULES))


class EvalRunTemplate(ApiModel):
    """The EvalRun that a gate makes; the operator fills in subject and baseline."""

    spec: Evaluation
    """spec is the body of the EvalRun."""


class MetricCriterion(ApiModel):
    """A bound on a counter of live traffic."""

    metric: Literal["ttft_p50_millis", "ttft_p95_millis", "tpot_p50_millis", "tpot_p95_millis", "error_rate"]
    """metric is the counter: percentiles in milliseconds, error_rate as a share."""
    operator: Literal["GreaterOrEqual", "LessOrEqual"] = "LessOrEqual"
    """operator compares the counter with value."""
    value: Decimal
    """value is the bound."""


class Gate(ApiModel):
    """What must hold before a revision goes on."""

    name: Name
    """name is how a step refers to it."""
    type: Literal["EvalRun", "Metrics"] = "EvalRun"
    """type is EvalRun, a measurement of its own, or Metrics, a look at live traffic."""
    on_inconclusive: Literal["Pause", "Fail", "Pass"] = "Pause"
    """onInconclusive says what an undecided verdict does. Pass is discouraged: it moves traffic without evidence."""
    max_age_seconds: Seconds = 604_800
    """maxAgeSeconds is how old a verdict on identical digests may be to stand in for a run. 0: always run."""
    eval_run_template: EvalRunTemplate | None = None
    """evalRunTemplate is the run of an EvalRun gate."""
    window_seconds: Annotated[int, Field(ge=1, le=3600)] = 300
    """windowSeconds is how far back a Metrics gate looks."""
    min_requests: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    """minRequests is the fewest requests in the window for a Metrics gate to decide; fewer make it Inconclusive."""
    criteria: Annotated[tuple[MetricCriterion, ...], Field(max_length=16)] | None = None
    """criteria are the bounds of a Metrics gate."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "(self.type == 'EvalRun') == has(self.evalRunTemplate)",
                "set evalRunTemplate for a gate of type EvalRun, and only for it",
            ),
            (
                "(self.type == 'Metrics') == (has(self.criteria) && size(self.criteria) > 0)",
                "set criteria for a gate of type Metrics, and only for it",
            ),
        )
    )


class GateResult(ApiModel):
    """What a gate came to for one revision."""

    name: Name
    """name of the gate."""
    verdict: Literal["Pending", "Passed", "Failed", "Inconclusive", "Error"]
    """verdict of the gate; Pending while it runs."""
    eval_run_ref: ObjectReference | None = None
    """evalRunRef names the EvalRun. Unset for a Metrics gate."""
    reused: bool = False
    """reused says that an earlier verdict on identical digests stood in for a run."""
    message: Annotated[str, text(1024)] | None = None
    """message says why."""

"""FinetuneJob: from a base model and data to an adapter or a model. Its spec never changes once made."""

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from touchstone_operator.api.common import (
    AGE_COLUMN,
    COMMIT_RULE,
    SECRET_RULE,
    ApiModel,
    Column,
    Conditions,
    Decimal,
    DigestString,
    Name,
    ObjectReference,
    OpenObject,
    Resource,
    RevisionName,
    Seconds,
    Timestamp,
    Uri,
    keyed,
    rules,
    text,
    unchanging,
)
from touchstone_operator.api.evaluations import EvalRunTemplate, RevisionReference
from touchstone_operator.api.servings import Resources

IMMUTABLE = (
    "baseModel",
    "method",
    "output",
    "queue",
    "activeDeadlineSeconds",
    "backoffLimit",
    "preemptionLimit",
)
IMMUTABLE_OPTIONAL = ("dataset", "hyperparameters", "resources", "checkpoint", "evaluation")
FORMATS = (
    (("LoRA", "QLoRA", "FullSFT"), ("ChatML", "Alpaca")),
    (("DPO",), ("Preference",)),
    (("ContinuedPretraining",), ("Text",)),
)
"""The formats that methods can learn from."""


class BaseModelSource(ApiModel):
    """The model to start from."""

    uri: Uri
    """uri is where the weights lie."""
    revision: Annotated[str, text(128)] | None = None
    """revision is a digest, or a commit of an hf:// address. Unset: what the first attempt finds;
    a later one that finds another ends the job."""
    credentials_secret_ref: ObjectReference | None = None
    """credentialsSecretRef names the Secret with the keys of the store, for hf://, s3:// and oci://; of a merge,
    also of its models' store. Unset: none are needed."""

    model_config = ConfigDict(json_schema_extra=rules(COMMIT_RULE, SECRET_RULE))


class LoRA(ApiModel):
    """Low-rank adaptation, Hu et al. 2021."""

    rank: Annotated[int, Field(ge=1, le=512)] = 16
    """rank of the update."""
    alpha: Annotated[int, Field(ge=1, le=2048)] = 32
    """alpha scales the update by alpha / rank."""
    dropout: Decimal = "0"
    """dropout on the adapter's input, 0 up to 1."""
    target_modules: Annotated[tuple[Annotated[str, text(64)], ...], Field(max_length=32)] | None = None
    """targetModules are adapted. Unset: all linear ones."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("double(self.dropout) >= 0.0 && double(self.dropout) < 1.0", "dropout must be 0 or more and below 1")
        )
    )


class MergedModel(ApiModel):
    """One of the models that are merged."""

    name: Name
    """name is unique in the merge."""
    uri: Uri
    """uri of a Hugging Face folder that was trained from the base, as another FinetuneJob's status.artifact.uri."""
    digest: DigestString | None = None
    """digest is the expected digest. Unset: whatever is found."""
    weight: Decimal = "1"
    """weight of the model. SLERP: the second one's is the place on the way from the first to it, 0 to 1."""
    density: Decimal = "1"
    """density is the share of what a model has learnt that TIES and DARE keep, above 0 and up to 1."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("double(self.density) > 0.0 && double(self.density) <= 1.0", "density must be above 0 and at most 1")
        )
    )


class Merge(ApiModel):
    """Several models to make one of."""

    type: Literal["Linear", "SLERP", "TaskArithmetic", "TIES", "DARELinear", "DARETIES"]
    """type of the merge."""
    models: Annotated[tuple[MergedModel, ...], keyed(16), Field(min_length=1)]
    """models are merged, in this order."""
    normalize: bool = True
    """normalize divides by the sum of weights: Linear and TIES."""

    model_config = ConfigDict(
        json_schema_extra=rules(("self.type != 'SLERP' || size(self.models) == 2", "SLERP takes two models"))
    )


class Method(ApiModel):
    """How to train, or to merge."""

    type: Literal["LoRA", "QLoRA", "FullSFT", "DPO", "ContinuedPretraining", "Merge"]
    """type of the training."""
    merge: Merge | None = None
    """merge says what is merged, for type Merge."""
    lora: LoRA | None = None
    """lora are the adapter's settings, for LoRA, QLoRA and, if set, DPO."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("!(self.type in ['LoRA', 'QLoRA']) || has(self.lora)", "set lora for type LoRA and QLoRA"),
            (
                "!(self.type in ['FullSFT', 'ContinuedPretraining', 'Merge']) || !has(self.lora)",
                "remove lora: FullSFT and ContinuedPretraining train all weights, and Merge trains none",
            ),
            ("(self.type == 'Merge') == has(self.merge)", "set merge for type Merge, and only for it"),
        )
    )


class PipelineSource(ApiModel):
    """A file of raw records."""

    name: Name
    """name is unique in the pipeline."""
    uri: Uri
    """uri is where the file lies."""
    digest: DigestString | None = None
    """digest is the expected digest. Unset: whatever is found, which the snapshot then names."""
    format: Literal["JSONLines", "Parquet", "CSV", "Text"] | None = None
    """format of the file. Unset: by its extension."""
    id_field: Annotated[str, text(255)] | None = None
    """idField is the path of the field that names a record. Unset: id where there is one, else its place."""
    licence: Annotated[str, text(255)] | None = None
    """licence of the source. Unset: not known."""


class PipelineStep(ApiModel):
    """The use of a step that is installed in the data service."""

    name: Annotated[str, text(63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    """name of the step."""
    parameters: OpenObject | None = None
    """parameters of the step. Unset: its defaults."""


class PipelineModel(ApiModel):
    """A model that steps ask, as for records of their making."""

    name: Name
    """name is what steps call it by their parameter model; unique in the pipeline."""
    model_deployment_ref: RevisionReference
    """modelDeploymentRef names the ModelDeployment that answers. Its revision is found when the pipeline starts."""


class DataPipeline(ApiModel):
    """Raw records and what is done with them before anything is trained: cleaned, filtered, deduplicated, formatted."""

    sources: Annotated[tuple[PipelineSource, ...], keyed(32), Field(min_length=1)]
    """sources are where the records come from."""
    text_fields: Annotated[tuple[Annotated[str, text(255)], ...], Field(max_length=32)] | None = None
    """textFields are what steps read and change unless they say otherwise. Unset: text."""
    steps: Annotated[tuple[PipelineStep, ...], Field(min_length=1, max_length=64)]
    """steps are done in this order."""
    models: Annotated[tuple[PipelineModel, ...], keyed(8)] | None = None
    """models are those that steps may ask, each asked by a step. Unset: there are none."""
    licence: Annotated[str, text(255)] | None = None
    """licence of what comes out. Unset: not known."""
    output: Uri | None = None
    """output is the folder that gets the snapshot. Unset: the platform's artefact store."""


class TrainingData(ApiModel):
    """The training data: a file or a snapshot by its address, or a pipeline that makes a snapshot first."""

    uri: Uri | None = None
    """uri is where the data lie: a file of records, or the folder of a snapshot. Unset: pipeline makes them."""
    pipeline: DataPipeline | None = None
    """pipeline makes the data first. Unset: they are there."""
    digest: DigestString | None = None
    """digest is the expected digest. Unset: recorded in status."""
    format: Literal["ChatML", "Alpaca", "Text", "Preference"]
    """format of the records."""
    validation_split: Decimal = "0.05"
    """validationSplit is the share of a file that is held out, 0 to 0.5; a snapshot brings its own split."""
    credentials_secret_ref: ObjectReference | None = None
    """credentialsSecretRef names the Secret with the keys of the store, for hf://, s3:// and oci://; of a pipeline,
    of the stores of its sources and its output. Unset: none are needed."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            SECRET_RULE,
            ("has(self.uri) != has(self.pipeline)", "set exactly one of uri and pipeline"),
            ("!has(self.digest) || has(self.uri)", "remove digest, or set uri"),
            (
                "double(self.validationSplit) >= 0.0 && double(self.validationSplit) <= 0.5",
                "validationSplit must lie between 0 and 0.5",
            ),
        )
    )


class Hyperparameters(ApiModel):
    """Settings of the training."""

    epochs: Annotated[int, Field(ge=1, le=1000)] = 1
    """epochs over the data."""
    max_steps: Annotated[int, Field(ge=1, le=100_000_000)] | None = None
    """maxSteps ends the training earlier. Unset: no limit."""
    learning_rate: Decimal = "2e-4"
    """learningRate at its peak, above 0."""
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 8
    """batchSize of one step on one device."""
    gradient_accumulation: Annotated[int, Field(ge=1, le=4096)] = 1
    """gradientAccumulation steps before an update."""
    max_sequence_length: Annotated[int, Field(ge=16, le=1_048_576)] = 2048
    """maxSequenceLength in tokens."""
    seed: Annotated[int, Field(ge=0, le=2_147_483_647)] = 42
    """seed of data order and initialisation."""

    model_config = ConfigDict(
        json_schema_extra=rules(("double(self.learningRate) > 0.0", "learningRate must be above 0"))
    )


class CheckpointPolicy(ApiModel):
    """Where and how often to save."""

    uri: Uri
    """uri is the folder of the checkpoints, file:// on the volume that all workers have."""
    interval_steps: Annotated[int, Field(ge=1, le=10_000_000)] = 200
    """intervalSteps between checkpoints."""
    resume: Literal["IfExists", "Never"] = "IfExists"
    """resume from the newest valid checkpoint, or never."""


class Output(ApiModel):
    """Where the result goes."""

    uri: Annotated[
        Uri,
        Field(
            json_schema_extra=rules(
                (
                    "self.matches('^(oci|s3|gs|file)://.+')",
                    "uri must begin with oci://, s3://, gs:// or file://",
                )
            )
        ),
    ]
    """uri is the folder that gets what was made in a folder of its own: s3://, gs://, file://; or the repository of a
    registry, oci://REGISTRY/REPOSITORY, with :TAG to have what was made named so."""
    credentials_secret_ref: ObjectReference | None = None
    """credentialsSecretRef names the Secret with the keys of the store, for s3:// and oci://. Unset: none are
    needed."""

    model_config = ConfigDict(json_schema_extra=rules(SECRET_RULE))


class JobEvaluation(ApiModel):
    """An evaluation of the result, in the deployment that takes it. It blocks nothing: gates do."""

    model_deployment_ref: ObjectReference
    """modelDeploymentRef names the ModelDeployment that takes what was made: its revision with it is measured."""
    eval_run_template: EvalRunTemplate
    """evalRunTemplate is run once there is such a revision; relative criteria compare with the one that serves."""


class FinetuneJobSpec(ApiModel):
    """What to train, from what, on what."""

    base_model: BaseModelSource
    """baseModel is the model to start from; of a merge, what its models were trained from."""
    method: Method
    """method is how to train."""
    dataset: TrainingData | None = None
    """dataset is the training data. Unset: there is none, as for type Merge."""
    hyperparameters: Hyperparameters | None = None
    """hyperparameters of the training. Unset: the defaults of its fields."""
    resources: Resources | None = None
    """resources of the training. Unset: the platform's defaults. gpu is refused where no Job is made for a training."""
    queue: Annotated[str, text(63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")] = "finetuning"
    """queue that carries the job, one of those that the platform has."""
    priority: Annotated[int, Field(ge=0, le=9)] = 5
    """priority in the queue; higher goes first. A change holds from the next start: once the job was suspended."""
    checkpoint: CheckpointPolicy | None = None
    """checkpoint says where and how often to save. Unset: every 200 steps, in the worker's own workspace, which goes
    when nobody has worked in it for the chart's retentionDays."""
    output: Output
    """output is where the result goes."""
    active_deadline_seconds: Annotated[int, Field(ge=1, le=2_592_000)] = 86_400
    """activeDeadlineSeconds is the most wall time."""
    backoff_limit: Annotated[int, Field(ge=0, le=100)] = 2
    """backoffLimit is how often a failed job is tried again."""
    preemption_limit: Annotated[int, Field(ge=0, le=1000)] = 10
    """preemptionLimit is how often a lost node is forgiven; counted apart from failures."""
    ttl_seconds_after_finished: Seconds | None = None
    """ttlSecondsAfterFinished removes a finished job after this time; one that is being measured waits for its verdict.
    Unset: it stays."""
    suspend: bool = False
    """suspend keeps the job from running."""
    evaluation: JobEvaluation | None = None
    """evaluation of the result. Unset: none."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            *unchanging("FinetuneJob", required=IMMUTABLE, optional=IMMUTABLE_OPTIONAL),
            *(
                (
                    (
                        f"!(self.method.type in {list(types)}) || !has(self.dataset) || "
                        f"self.dataset.format in {list(formats)}"
                    ),
                    f"set dataset.format to {' or '.join(formats)} for type {', '.join(types)}",
                )
                for types, formats in FORMATS
            ),
            ("(self.method.type == 'Merge') != has(self.dataset)", "set dataset, and leave it out for type Merge"),
        )
    )


class TrainingProgress(ApiModel):
    """How far a job is."""

    step: Annotated[int, Field(ge=0)] = 0
    """step that was last done."""
    total_steps: Annotated[int, Field(ge=0)] = 0
    """totalSteps there are; 0 while unknown."""
    epoch: Decimal | None = None
    """epoch as a fraction."""
    percent: Annotated[int, Field(ge=0, le=100)] = 0
    """percent of the steps."""
    estimated_remaining_seconds: Annotated[int, Field(ge=0)] | None = None
    """estimatedRemainingSeconds at the present speed."""
    last_updated_time: Timestamp | None = None
    """lastUpdatedTime is when the training last reported."""


class TrainingMetric(ApiModel):
    """The last value of a metric."""

    name: Annotated[str, text(63)]
    """name of the metric."""
    value: Decimal
    """value at step."""
    step: Annotated[int, Field(ge=0)] = 0
    """step it was taken at."""


class CheckpointStatus(ApiModel):
    """The newest checkpoint."""

    step: Annotated[int, Field(ge=0)]
    """step it was taken at."""


class TrainedArtifact(ApiModel):
    """The result."""

    uri: Uri
    """uri with its digest."""
    digest: DigestString
    """digest of the artefact."""
    size_bytes: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})]
    """sizeBytes of the artefact."""
    type: Literal["LoRAAdapter", "Model"]
    """type of the artefact."""
    rank: Annotated[int, Field(ge=1, le=512)] | None = None
    """rank of an adapter."""


class Provenance(ApiModel):
    """What the result was made from."""

    base_model_digest: DigestString | None = None
    """baseModelDigest of the base weights."""
    dataset_digest: DigestString | None = None
    """datasetDigest of the data."""
    trainer_image: Annotated[str, text(512)] | None = None
    """trainerImage with its digest."""
    spec_digest: DigestString | None = None
    """specDigest of the job's spec."""
    seed: Annotated[int, Field(ge=0)] | None = None
    """seed of the run."""
    code_version: Annotated[str, text(64)] | None = None
    """codeVersion of the trainer."""


class DatasetModel(ApiModel):
    """The revision that answers where the pipeline's steps ask a model."""

    name: Name
    """name is the pipeline's name of it."""
    revision: RevisionName
    """revision that answers."""
    digest: DigestString
    """digest of it: the snapshot is bound to it."""


class DatasetStatus(ApiModel):
    """What is trained on, where a pipeline makes it."""

    dispatch_id: Annotated[str, text(128)] | None = None
    """dispatchId names the pipeline in the data service."""
    uri: Uri | None = None
    """uri of the snapshot. Unset: it is not made yet."""
    digest: DigestString | None = None
    """digest of the snapshot."""
    records: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})] | None = None
    """records that it holds."""
    dropped: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})] | None = None
    """dropped are the records that were left out; the snapshot has the reason of each."""
    models: Annotated[tuple[DatasetModel, ...], keyed(8)] | None = None
    """models are the revisions that answer. Unset: no step asks a model."""


class FinetuneJobStatus(ApiModel):
    """What is known of the job."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """observedGeneration is the generation that was observed."""
    dispatch_id: Annotated[str, text(128)] | None = None
    """dispatchId names the job in the finetuning service."""
    dataset: DatasetStatus | None = None
    """dataset is what the pipeline made. Unset: there is no pipeline."""
    start_time: Timestamp | None = None
    """startTime of the first attempt."""
    completion_time: Timestamp | None = None
    """completionTime of the last one."""
    attempts: Annotated[int, Field(ge=0)] | None = None
    """attempts that were started."""
    preemptions: Annotated[int, Field(ge=0)] | None = None
    """preemptions that were forgiven."""
    progress: TrainingProgress | None = None
    """progress of the present attempt."""
    metrics: Annotated[tuple[TrainingMetric, ...], keyed(32)] | None = None
    """metrics are last values only."""
    notes: Annotated[tuple[Annotated[str, text(512)], ...], Field(max_length=16)] | None = None
    """notes say what to know of the training, as that records were too long."""
    checkpoint: CheckpointStatus | None = None
    """checkpoint is the newest one."""
    artifact: TrainedArtifact | None = None
    """artifact is the result."""
    provenance: Provenance | None = None
    """provenance says what it was made from."""
    eval_run_ref: ObjectReference | None = None
    """evalRunRef names the evaluation of the result."""
    conditions: Conditions | None = None
    """conditions: Succeeded, Suspended, Progressing, Evaluated, Reconciling, Stalled."""


class FinetuneJob(Resource):
    """A FinetuneJob trains an adapter or a model from a base model and data."""

    kind_name: ClassVar[str] = "FinetuneJob"
    plural: ClassVar[str] = "finetunejobs"
    short_name: ClassVar[str] = "ftj"
    columns: ClassVar[tuple[Column, ...]] = (
        Column(
            name="Succeeded",
            jsonPath='.status.conditions[?(@.type=="Succeeded")].status',
            description="Whether the job is done.",
        ),
        Column(name="Reason", jsonPath='.status.conditions[?(@.type=="Succeeded")].reason', description="Why."),
        Column(name="Progress", type="integer", jsonPath=".status.progress.percent", description="Percent of steps."),
        Column(
            name="Loss",
            jsonPath='.status.metrics[?(@.name=="train_loss")].value',
            description="Last training loss.",
            priority=1,
        ),
        Column(name="Artifact", jsonPath=".status.artifact.uri", description="The result.", priority=1),
        AGE_COLUMN,
    )

    spec: FinetuneJobSpec
    """spec is what to train. Immutable but for suspend, priority and ttlSecondsAfterFinished."""
    status: FinetuneJobStatus = FinetuneJobStatus()
    """status is what is known; only the operator writes it."""


__all__ = ["FinetuneJob", "FinetuneJobSpec", "FinetuneJobStatus"]

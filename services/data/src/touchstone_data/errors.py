"""The errors of data.

DomainError
├── SpecInvalid         the specification has faults; each is named
├── DispatchIdTaken     the dispatch id belongs to a different pipeline
├── PipelineNotFound
├── StepBroken          an installed step cannot be loaded
├── of feedback and annotation:
│   ├── FeedbackInvalid   feedback, or what is asked of it, has faults; each is named
│   ├── FeedbackIdTaken   the id belongs to different feedback
│   ├── QueueInvalid      a queue, or what is asked of it, has faults; each is named
│   ├── QueueNameTaken    the name belongs to a different queue
│   ├── QueueNotFound
│   ├── ItemNotFound      the queue has no such item
│   ├── QueueFull         it holds as many items as it may
│   ├── NotClaimed        the annotator does not hold the item
│   ├── AnnotationTaken   the annotator has labelled the item otherwise
│   ├── AgreementTooLow   annotators agree too little for an export
│   ├── ExportTooLarge    narrow what is exported
│   ├── ExportEmpty       nothing that was chosen can be exported
│   └── ExportForgotten   something in the export was forgotten meanwhile; export again
└── of a pipeline, shown in its error:
    ├── SourceUnreachable a source could not be fetched; a later try may succeed
    ├── SourceInvalid     a source is not what the specification says
    ├── StepFailed        a step cannot work with its parameters
    ├── ModelUnavailable  a model that a step asks was away; a later try may succeed
    ├── ModelRefused      a model that a step asks takes no prompts of ours
    ├── RevisionMismatch  another revision answered than the pipeline began with
    ├── TokenizerInvalid  the report cannot count tokens by the tokenizer that was named
    ├── ColumnsMixed      a field is of several types, which Parquet cannot hold
    ├── Contaminated      records must not be there, and the step was not told to leave them out
    ├── Empty             no record is left
    └── StoreUnavailable  the store did not take the snapshot; a later try may succeed
"""

from collections.abc import Sequence

from touchstone_runtime import errors


class SpecInvalid(errors.Invalid):
    """The specification has faults."""

    reason = "PIPELINE_SPEC_INVALID"


class DispatchIdTaken(errors.AlreadyExists):
    """The dispatch id belongs to a different pipeline."""

    reason = "DISPATCH_ID_TAKEN"

    def __init__(self, dispatch_id: str) -> None:
        super().__init__(
            f"The dispatch id {dispatch_id!r} belongs to a different pipeline. Use a new one for a new specification.",
            metadata={"dispatch_id": dispatch_id},
        )


class PipelineNotFound(errors.NotFound):
    """There is no pipeline of this dispatch id."""

    reason = "PIPELINE_NOT_FOUND"

    def __init__(self, dispatch_id: str) -> None:
        super().__init__(
            f"There is no pipeline {dispatch_id!r}. Start it with StartPipeline.", metadata={"dispatch_id": dispatch_id}
        )


class StepBroken(errors.Internal):
    """An installed step cannot be loaded."""

    reason = "STEP_BROKEN"

    def __init__(self, step: str, package: str, cause: str) -> None:
        super().__init__(
            f"The step {step!r} of the package {package!r} cannot be loaded: {cause}. Repair or remove the package.",
            metadata={"step": step, "package": package, "cause": cause},
        )


class SourceUnreachable(errors.Unavailable):
    """A source could not be fetched."""

    reason = "SOURCE_UNREACHABLE"

    def __init__(self, source: str, cause: str) -> None:
        super().__init__(
            f"The source {source!r} could not be fetched: {cause}", metadata={"source": source, "cause": cause}
        )


class SourceInvalid(errors.Invalid):
    """A source is not what the specification says."""

    reason = "SOURCE_INVALID"

    def __init__(self, source: str, cause: str) -> None:
        super().__init__(
            [errors.Violation(f"spec.sources[{source!r}]", cause)], message=f"The source {source!r}: {cause}"
        )


class StepFailed(errors.FailedPrecondition):
    """A step cannot work with its parameters."""

    reason = "STEP_FAILED"

    def __init__(self, step: str, cause: str) -> None:
        super().__init__(f"The step {step!r} cannot work: {cause}", metadata={"step": step, "cause": cause})


class ModelUnavailable(errors.Unavailable):
    """A model that a step asks was away."""

    reason = "MODEL_UNAVAILABLE"

    def __init__(self, model: str, cause: str) -> None:
        super().__init__(
            f"The model {model!r} did not answer: {cause} Start the pipeline again when it is back.",
            metadata={"model": model, "cause": cause},
        )


class ModelRefused(errors.FailedPrecondition):
    """A model that a step asks takes no prompts of ours."""

    reason = "MODEL_REFUSED"

    def __init__(self, model: str, cause: str) -> None:
        super().__init__(f"The model {model!r} cannot be asked: {cause}", metadata={"model": model, "cause": cause})


class RevisionMismatch(errors.FailedPrecondition):
    """Another revision answered than the pipeline began with."""

    reason = "REVISION_MISMATCH"

    def __init__(self, model: str, wanted: str, answered: str) -> None:
        super().__init__(
            f"The model {model!r} is the revision {wanted!r}, and {answered!r} answered. What two revisions make is no "
            "one data set: start the pipeline again with the revision that serves.",
            metadata={"model": model, "wanted": wanted, "answered": answered},
        )


class TokenizerInvalid(errors.FailedPrecondition):
    """The report cannot count tokens."""

    reason = "TOKENIZER_INVALID"

    def __init__(self, cause: str) -> None:
        super().__init__(
            f"The report cannot count tokens: {cause} Correct `report.tokens`, or leave it out.",
            metadata={"cause": cause},
        )


class ColumnsMixed(errors.FailedPrecondition):
    """A field is of several types."""

    reason = "COLUMNS_MIXED"

    def __init__(self, cause: str) -> None:
        super().__init__(
            f"The records cannot be written as columns: {cause}. Leave out the records with the step 'require' and a "
            "schema, or keep only the fields that are needed with `keep` of the step 'to-chat'.",
            metadata={"cause": cause},
        )


class Contaminated(errors.FailedPrecondition):
    """Records must not be there."""

    reason = "CONTAMINATED"

    def __init__(self, count: int, examples: Sequence[str]) -> None:
        shown = "; ".join(examples)
        super().__init__(
            f"{count} records must not be in the data: {shown}. Remove them from the sources, or set `on_hit` of the "
            "step to `drop`.",
            metadata={"count": str(count), "examples": shown},
        )


class Empty(errors.FailedPrecondition):
    """No record is left."""

    reason = "EMPTY"

    def __init__(self, reasons: str) -> None:
        why = f"All records were left out ({reasons})" if reasons else "The sources hold no records"
        super().__init__(f"{why}. Check the sources and the steps' parameters.", metadata={"reasons": reasons})


class StoreUnavailable(errors.Unavailable):
    """The store did not take the snapshot."""

    reason = "STORE_UNAVAILABLE"

    def __init__(self, uri: str, cause: str) -> None:
        super().__init__(f"{uri} did not take the snapshot: {cause}. Try again.", metadata={"uri": uri, "cause": cause})


class FeedbackInvalid(errors.Invalid):
    """Feedback, or what is asked of it, has faults."""

    reason = "FEEDBACK_INVALID"


class FeedbackIdTaken(errors.AlreadyExists):
    """The id belongs to different feedback."""

    reason = "FEEDBACK_ID_TAKEN"

    def __init__(self, feedback_id: str) -> None:
        super().__init__(
            f"The feedback {feedback_id!r} was recorded with other content. Use a new id, or delete it first.",
            metadata={"feedback_id": feedback_id},
        )


class QueueInvalid(errors.Invalid):
    """A queue, or what is asked of it, has faults."""

    reason = "QUEUE_INVALID"


class QueueNameTaken(errors.AlreadyExists):
    """The name belongs to a different queue."""

    reason = "QUEUE_NAME_TAKEN"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The queue {name!r} has another specification, and a queue never changes. Use a new name.",
            metadata={"queue": name},
        )


class QueueNotFound(errors.NotFound):
    """There is no queue of this name."""

    reason = "QUEUE_NOT_FOUND"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no queue {name!r}. Make it with CreateQueue.", metadata={"queue": name})


class ItemNotFound(errors.NotFound):
    """The queue has no such item."""

    reason = "ITEM_NOT_FOUND"

    def __init__(self, queue: str, item_id: str) -> None:
        super().__init__(
            f"The queue {queue!r} has no item {item_id!r}; it may have been forgotten. Claim another.",
            metadata={"queue": queue, "item_id": item_id},
        )


class QueueFull(errors.FailedPrecondition):
    """The queue holds as many items as it may."""

    reason = "QUEUE_FULL"

    def __init__(self, queue: str, most: int) -> None:
        super().__init__(
            f"The queue {queue!r} would hold more than {most} items. Take a sample, or make another queue.",
            metadata={"queue": queue, "most": str(most)},
        )


class NotClaimed(errors.FailedPrecondition):
    """The annotator does not hold the item."""

    reason = "NOT_CLAIMED"

    def __init__(self, item_id: str, annotator: str, why: str) -> None:
        super().__init__(
            f"{annotator!r} does not hold the item {item_id!r}: {why}. Claim another with ClaimItem.",
            metadata={"item_id": item_id, "annotator": annotator, "why": why},
        )


class AnnotationTaken(errors.AlreadyExists):
    """The annotator has labelled the item otherwise."""

    reason = "ANNOTATION_TAKEN"

    def __init__(self, item_id: str, annotator: str) -> None:
        super().__init__(
            f"{annotator!r} has given the item {item_id!r} another label already, and annotations never change.",
            metadata={"item_id": item_id, "annotator": annotator},
        )


class AgreementTooLow(errors.FailedPrecondition):
    """Annotators agree too little for an export."""

    reason = "AGREEMENT_TOO_LOW"

    def __init__(self, queue: str, alpha: float | None, least: float) -> None:
        told = "cannot be told" if alpha is None else f"is {alpha:.3f}"
        super().__init__(
            f"Krippendorff's alpha of the queue {queue!r} {told}; {least:g} is asked. Improve the guideline and "
            "make a new queue, or set `allow_low_agreement`.",
            metadata={"queue": queue, "alpha": "" if alpha is None else str(alpha), "least": str(least)},
        )


class ExportTooLarge(errors.FailedPrecondition):
    """What is to be exported is too large."""

    reason = "EXPORT_TOO_LARGE"

    def __init__(self, most_bytes: int) -> None:
        super().__init__(
            f"The export would be larger than {most_bytes} bytes. Narrow it by revision or by time.",
            metadata={"most_bytes": str(most_bytes)},
        )


class ExportEmpty(errors.FailedPrecondition):
    """Nothing that was chosen can be exported."""

    reason = "EXPORT_EMPTY"

    def __init__(self, left_out: str) -> None:
        why = f"All that was chosen was left out ({left_out})" if left_out else "Nothing was chosen"
        super().__init__(f"{why}: there is nothing to export.", metadata={"left_out": left_out})


class ExportForgotten(errors.Conflict):
    """Something in the export was forgotten meanwhile."""

    reason = "EXPORT_FORGOTTEN"

    def __init__(self) -> None:
        super().__init__("Something in the export was forgotten while it was written. Export again.")

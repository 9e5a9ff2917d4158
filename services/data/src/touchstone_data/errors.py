"""The errors of data.

DomainError
├── SpecInvalid         the specification has faults; each is named
├── DispatchIdTaken     the dispatch id belongs to a different pipeline
├── PipelineNotFound
├── StepBroken          an installed step cannot be loaded
└── of a pipeline, shown in its error:
    ├── SourceUnreachable a source could not be fetched; a later try may succeed
    ├── SourceInvalid     a source is not what the specification says
    ├── StepFailed        a step cannot work with its parameters
    ├── ModelUnavailable  a model that a step asks was away; a later try may succeed
    ├── ModelRefused      a model that a step asks takes no prompts of ours
    ├── RevisionMismatch  another revision answered than the pipeline began with
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

"""The errors of finetuning.

DomainError
├── SpecInvalid           the request to train has faults; each is named
├── DispatchIdTaken       the dispatch id belongs to a different training
├── TrainingNotFound
└── of a training, shown in its error:
    ├── DatasetInvalid    the data set is not what the specification says
    ├── OutputPushFailed  the artefact could not be written; a later try may succeed
    ├── TrainerMissing    no interpreter here can train
    ├── TrainerDied       the trainer ended without a word; a later try may succeed
    ├── TrainerFaulted    the trainer says why it cannot go on
    └── TrainerBroken     the trainer had an unexpected error; a later try may succeed
"""

import re

from touchstone_runtime import errors


class SpecInvalid(errors.Invalid):
    """The request to train has faults."""

    reason = "TRAINING_SPEC_INVALID"


class DispatchIdTaken(errors.AlreadyExists):
    """The dispatch id belongs to a different training."""

    reason = "DISPATCH_ID_TAKEN"

    def __init__(self, dispatch_id: str) -> None:
        super().__init__(
            f"The dispatch id {dispatch_id!r} belongs to a different training. Use a new one for a new specification.",
            metadata={"dispatch_id": dispatch_id},
        )


class TrainingNotFound(errors.NotFound):
    """There is no training of this dispatch id."""

    reason = "TRAINING_NOT_FOUND"

    def __init__(self, dispatch_id: str) -> None:
        super().__init__(
            f"There is no training {dispatch_id!r}. Start it with StartTraining.", metadata={"dispatch_id": dispatch_id}
        )


class DatasetInvalid(errors.Invalid):
    """The data set is not what the specification says."""

    reason = "DATASET_INVALID"

    def __init__(self, cause: str) -> None:
        super().__init__([errors.Violation("spec.data", cause)], message=f"The data set: {cause}")


class OutputPushFailed(errors.Unavailable):
    """The artefact could not be written."""

    reason = "OUTPUT_PUSH_FAILED"

    def __init__(self, uri: str, cause: str) -> None:
        super().__init__(
            f"The artefact could not be written below {uri}: {cause}", metadata={"uri": uri, "cause": cause}
        )


class TrainerMissing(errors.FailedPrecondition):
    """No interpreter here can train."""

    reason = "TRAINER_MISSING"

    def __init__(self, python: str) -> None:
        super().__init__(
            f"{python} has no torch. Install touchstone-finetuning[train] there, or set TOUCHSTONE_TRAINER_PYTHON to "
            "an interpreter that has it.",
            metadata={"python": python},
        )


class TrainerDied(errors.Unavailable):
    """The trainer ended without a word."""

    reason = "TRAINER_DIED"

    def __init__(self, code: int) -> None:
        how = f"was killed by signal {-code}, as when memory is short" if code < 0 else f"ended with {code}"
        super().__init__(f"The trainer {how}. It goes on from the last checkpoint.", metadata={"code": str(code)})


class TrainerFaulted(errors.FailedPrecondition):
    """The trainer says why it cannot go on: the same attempt would end alike."""

    reason = "TRAINER_FAULTED"

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message, reason=_upper_snake(reason))


class TrainerBroken(errors.Unavailable):
    """The trainer had an unexpected error."""

    reason = "TRAINER_BROKEN"

    def __init__(self, message: str) -> None:
        super().__init__(message)


def _upper_snake(reason: str) -> str:
    """Write a condition's reason, in UpperCamelCase, as errors have it."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", reason).upper()

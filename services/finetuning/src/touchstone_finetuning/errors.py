"""The errors of finetuning.

DomainError
├── SpecInvalid           the request to train has faults; each is named
├── DispatchIdTaken       the dispatch id belongs to a different training
├── TrainingNotFound
└── of a training, shown in its error:
    ├── DatasetInvalid    the data set is not what the specification says
    ├── BaseModelChanged  the base is another than the one that an earlier attempt trained from
    ├── OutputPushFailed  the artefact could not be written; a later try may succeed
    ├── TrainerMissing    the trainer cannot be run here
    ├── TrainerDied       the trainer ended without a word; a later try may succeed
    ├── TrainerLost       the trainer was taken away; a later try may succeed
    ├── TrainerNotStarted the cluster had no place for the trainer for too long, or not its image
    ├── ClusterRefused    the Kubernetes API refused a request
    ├── QuotaExceeded     the cluster's quota has no room for the trainer; a later try may succeed
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


class BaseModelChanged(errors.FailedPrecondition):
    """The base is another than the one that an earlier attempt trained from."""

    reason = "BASE_MODEL_CHANGED"

    def __init__(self, uri: str, known: str, found: str) -> None:
        super().__init__(
            f"{uri} was {known} at the first attempt, and is {found} now. Make a new job, with a commit or that digest "
            "as baseModel.revision.",
            metadata={"uri": uri, "known": known, "found": found},
        )


class OutputPushFailed(errors.Unavailable):
    """The artefact could not be written."""

    reason = "OUTPUT_PUSH_FAILED"

    def __init__(self, uri: str, cause: str) -> None:
        super().__init__(
            f"The artefact could not be written below {uri}: {cause}", metadata={"uri": uri, "cause": cause}
        )


class TrainerMissing(errors.FailedPrecondition):
    """The trainer cannot be run here."""

    reason = "TRAINER_MISSING"

    def __init__(self, python: str, cause: str) -> None:
        super().__init__(
            f"{python} cannot be run: {cause}. Set TOUCHSTONE_TRAINER_PYTHON to an interpreter that has "
            "touchstone-finetuning[train].",
            metadata={"python": python, "cause": cause},
        )


class TrainerDied(errors.Unavailable):
    """The trainer ended without a word."""

    reason = "TRAINER_DIED"

    def __init__(self, code: int) -> None:
        how = f"was killed by signal {-code}, as when memory is short" if code < 0 else f"ended with {code}"
        super().__init__(f"The trainer {how}. It goes on from the last checkpoint.", metadata={"code": str(code)})


class TrainerLost(errors.Unavailable):
    """The trainer was taken away, and nobody saw its end."""

    reason = "TRAINER_LOST"

    def __init__(self, cause: str) -> None:
        super().__init__(
            f"The trainer is gone: {cause}. The training goes on from the last checkpoint.", metadata={"cause": cause}
        )


class TrainerNotStarted(errors.FailedPrecondition):
    """The trainer did not begin within its time."""

    reason = "TRAINER_NOT_STARTED"

    def __init__(self, seconds: float, cause: str) -> None:
        super().__init__(
            f"The trainer has waited for {seconds:.0f} seconds for {cause}. See that the cluster has what it waits "
            "for, or ask for less by spec.resources.",
            metadata={"cause": cause},
        )


class ClusterRefused(errors.FailedPrecondition):
    """The Kubernetes API refused a request."""

    reason = "CLUSTER_REFUSED"

    def __init__(self, request: str, cause: str) -> None:
        super().__init__(
            f"The Kubernetes API refuses {request}: {cause}. The chart gives the finetuning worker the rights and the "
            "template of the Jobs that it makes.",
            metadata={"request": request, "cause": cause},
        )


class QuotaExceeded(errors.Exhausted):
    """The cluster's quota has no room for the trainer."""

    reason = "QUOTA_EXCEEDED"

    def __init__(self, cause: str) -> None:
        super().__init__(
            f"The cluster's quota has no room for the training: {cause}. Wait for others to end, have the quota "
            "raised, or ask for less by spec.resources.",
            metadata={"cause": cause},
        )


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

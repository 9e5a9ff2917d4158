"""The errors of evaluation.

DomainError
├── SpecInvalid          INVALID        the specification has faults; each is named
├── DispatchIdTaken      ALREADY_EXISTS the dispatch id belongs to a different run
├── RunNotFound          NOT_FOUND
├── SelectionNotFound    NOT_FOUND
├── RankingImpossible    FAILED_PRECONDITION  the runs cannot be ranked together
├── DiagnosisImpossible  FAILED_PRECONDITION  a run's failures cannot be sorted
├── TaskBroken           INTERNAL       an installed task cannot be used
├── TaskFailed           INTERNAL       a task could not deal with an item
├── DatasetInvalid       INVALID        a dataset is not what the specification says
├── DatasetUnreachable   UNAVAILABLE    a dataset could not be fetched; a later try may succeed
└── RevisionMismatch     FAILED_PRECONDITION  another revision answered than the one that is measured
"""

from touchstone_runtime import errors


class SpecInvalid(errors.Invalid):
    """The specification of a run has faults."""

    reason = "EVALUATION_SPEC_INVALID"


class DispatchIdTaken(errors.AlreadyExists):
    """The dispatch id belongs to a different run."""

    reason = "DISPATCH_ID_TAKEN"

    def __init__(self, dispatch_id: str) -> None:
        super().__init__(
            f"The dispatch id {dispatch_id!r} belongs to a different run. Use a new one for a new specification.",
            metadata={"dispatch_id": dispatch_id},
        )


class RunNotFound(errors.NotFound):
    """There is no run of this dispatch id."""

    reason = "RUN_NOT_FOUND"

    def __init__(self, dispatch_id: str) -> None:
        super().__init__(
            f"There is no run {dispatch_id!r}. Start it with StartRun.", metadata={"dispatch_id": dispatch_id}
        )


class SelectionNotFound(errors.NotFound):
    """There is no selection of this id."""

    reason = "SELECTION_NOT_FOUND"

    def __init__(self, selection_id: str) -> None:
        super().__init__(
            f"There is no selection {selection_id!r}. Start it with StartSelection.",
            metadata={"selection": selection_id},
        )


class RankingImpossible(errors.FailedPrecondition):
    """The runs cannot be ranked together."""

    reason = "RANKING_IMPOSSIBLE"

    def __init__(self, cause: str) -> None:
        super().__init__(cause)


class DiagnosisImpossible(errors.FailedPrecondition):
    """A run's failures cannot be sorted."""

    reason = "DIAGNOSIS_IMPOSSIBLE"

    def __init__(self, cause: str) -> None:
        super().__init__(cause)


class TaskBroken(errors.Internal):
    """An installed task cannot be used."""

    reason = "TASK_BROKEN"

    def __init__(self, name: str, package: str, cause: str) -> None:
        super().__init__(
            f"The task {name!r} of the package {package!r} cannot be used: {cause}. Repair or uninstall the package.",
            metadata={"task": name, "package": package},
        )


class DatasetInvalid(errors.Invalid):
    """A dataset is not what the specification says."""

    reason = "DATASET_INVALID"

    def __init__(self, suite: str, cause: str) -> None:
        super().__init__(
            [errors.Violation(f"spec.suites[{suite!r}].dataset", cause)],
            message=f"The dataset of suite {suite!r}: {cause}",
            metadata={"suite": suite},
        )


class DatasetUnreachable(errors.Unavailable):
    """A dataset could not be fetched."""

    reason = "DATASET_UNREACHABLE"

    def __init__(self, suite: str, cause: str) -> None:
        super().__init__(
            f"The dataset of suite {suite!r} could not be fetched: {cause}", metadata={"suite": suite, "cause": cause}
        )


class TaskFailed(errors.Internal):
    """A task could not deal with an item."""

    reason = "TASK_FAILED"

    def __init__(self, task: str, cause: str) -> None:
        super().__init__(f"The task {task!r} failed on this item: {cause}. Repair the task.", metadata={"task": task})


class RevisionMismatch(errors.FailedPrecondition):
    """Another revision answered than the one that is measured."""

    reason = "REVISION_MISMATCH"

    def __init__(self, wanted: str, answered: str) -> None:
        super().__init__(
            f"The revision {wanted!r} was asked and {answered!r} answered. Check that pinning reaches the revision.",
            metadata={"wanted": wanted, "answered": answered},
        )

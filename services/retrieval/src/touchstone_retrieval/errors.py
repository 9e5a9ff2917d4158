"""The errors of retrieval.

DomainError
├── SpecInvalid           the request to build has faults; each is named
├── SearchInvalid         a search has faults, or does not fit its index
├── DispatchIdTaken       the dispatch id belongs to a different build
├── BuildNotFound
├── IndexNotFound
├── RevisionNotFound
├── NotActivated          the index has no active revision yet
├── RevisionActive        the active revision is not deleted
├── RevisionBroken        a stored revision cannot be opened
├── SearchTimedOut
├── StoreUnavailable      the vector store did not answer
└── of a build, shown in its error:
    ├── SourceUnreachable a source could not be fetched; a later try may succeed
    ├── SourceInvalid     a source is not what the specification says
    ├── EmbedderUnavailable the model could not be fetched; a later try may succeed
    ├── EmbedderInvalid   the model is not what the specification says
    └── Empty             nothing could be indexed
"""

from touchstone_runtime import errors


class SpecInvalid(errors.Invalid):
    """The request to build has faults."""

    reason = "INDEX_SPEC_INVALID"


class SearchInvalid(errors.Invalid):
    """A search has faults, or does not fit its index."""

    reason = "SEARCH_INVALID"


class DispatchIdTaken(errors.AlreadyExists):
    """The dispatch id belongs to a different build."""

    reason = "DISPATCH_ID_TAKEN"

    def __init__(self, dispatch_id: str) -> None:
        super().__init__(
            f"The dispatch id {dispatch_id!r} belongs to a different build. Use a new one for a new specification.",
            metadata={"dispatch_id": dispatch_id},
        )


class BuildNotFound(errors.NotFound):
    """There is no build of this dispatch id."""

    reason = "BUILD_NOT_FOUND"

    def __init__(self, dispatch_id: str) -> None:
        super().__init__(
            f"There is no build {dispatch_id!r}. Start it with StartBuild.", metadata={"dispatch_id": dispatch_id}
        )


class IndexNotFound(errors.NotFound):
    """There is no index of this name."""

    reason = "INDEX_NOT_FOUND"

    def __init__(self, index: str) -> None:
        super().__init__(f"There is no index {index!r}. Build it with StartBuild.", metadata={"index": index})


class RevisionNotFound(errors.NotFound):
    """The index has no such revision."""

    reason = "REVISION_NOT_FOUND"

    def __init__(self, index: str, revision: str) -> None:
        super().__init__(
            f"The index {index!r} has no revision {revision!r}. GetIndex lists those that are kept.",
            metadata={"index": index, "revision": revision},
        )


class NotActivated(errors.FailedPrecondition):
    """The index has no active revision yet."""

    reason = "INDEX_NOT_ACTIVATED"

    def __init__(self, index: str) -> None:
        super().__init__(
            f"The index {index!r} has no active revision. Activate one, or name a revision in the search.",
            metadata={"index": index},
        )


class RevisionActive(errors.FailedPrecondition):
    """The active revision is not deleted."""

    reason = "REVISION_ACTIVE"

    def __init__(self, index: str, revision: str) -> None:
        super().__init__(
            f"The revision {revision!r} is active in {index!r}. Activate another before deleting it.",
            metadata={"index": index, "revision": revision},
        )


class RevisionBroken(errors.FailedPrecondition):
    """A stored revision cannot be opened."""

    reason = "REVISION_BROKEN"

    def __init__(self, revision: str, cause: str) -> None:
        super().__init__(
            f"The revision {revision!r} cannot be opened: {cause}. Delete it and build it again.",
            metadata={"revision": revision, "cause": cause},
        )


class SearchTimedOut(errors.DeadlineExceeded):
    """A search took too long."""

    reason = "SEARCH_TIMED_OUT"

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"The search took longer than {seconds:g} s. Try again; the first search of a model is the slowest.",
            metadata={"seconds": f"{seconds:g}"},
        )


class StoreUnavailable(errors.Unavailable):
    """The vector store did not answer."""

    reason = "STORE_UNAVAILABLE"

    def __init__(self, cause: str) -> None:
        super().__init__(f"The vector store did not answer: {cause}. Try again.", metadata={"cause": cause})


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


class EmbedderUnavailable(errors.Unavailable):
    """The model could not be fetched."""

    reason = "EMBEDDER_UNAVAILABLE"

    def __init__(self, cause: str) -> None:
        super().__init__(f"The embedding model could not be fetched: {cause}", metadata={"cause": cause})


class EmbedderInvalid(errors.Invalid):
    """The model is not what the specification says."""

    reason = "EMBEDDER_INVALID"

    def __init__(self, cause: str) -> None:
        super().__init__([errors.Violation("spec.embedding", cause)], message=f"The embedding model: {cause}")


class Empty(errors.FailedPrecondition):
    """Nothing could be indexed."""

    reason = "EMPTY"

    def __init__(self, failed: int, reasons: str) -> None:
        why = f"All {failed} documents failed ({reasons})" if failed else "The sources hold no documents"
        super().__init__(
            f"{why}. Check the sources' addresses, globs, formats and field paths.", metadata={"reasons": reasons}
        )

"""The operator's errors. Pure.

DomainError (touchstone_runtime.errors)
├── ClusterUnavailable  UNAVAILABLE  the API server did not answer
├── ClusterForbidden    FORBIDDEN    RBAC does not allow a request
├── ClusterRefused      INVALID      the API server refuses an object
├── StaleObject         CONFLICT     the object changed since it was read
├── ModelUnresolved     UNAVAILABLE  the digest of the weights is being found out
├── ModelNotFound       NOT_FOUND    the weights do not exist or do not have their digest
├── RunNotFound         NOT_FOUND    the evaluation service does not know a run
├── BuildNotFound       NOT_FOUND    the retrieval service does not know a build
├── PipelineNotFound    NOT_FOUND    the data service does not know a pipeline
├── TrainingNotFound    NOT_FOUND    the finetuning service does not know a training
├── PeerUnavailable     UNAVAILABLE  a gRPC peer did not answer
├── PeerRefused         INVALID      a gRPC peer refuses a request
├── DefinitionsOutdated FAILED_PRECONDITION  the installed kinds are older than this operator
└── LeaseLost           UNAVAILABLE  another replica holds the lease
"""

from touchstone_runtime import errors


class ClusterUnavailable(errors.Unavailable):
    """The API server did not answer."""

    reason = "CLUSTER_UNAVAILABLE"

    def __init__(self, request: str, cause: str) -> None:
        super().__init__(
            f"The API server did not answer {request}: {cause}. It will be tried again.", metadata={"request": request}
        )


class ClusterForbidden(errors.Forbidden):
    """RBAC does not allow a request."""

    reason = "CLUSTER_FORBIDDEN"

    def __init__(self, request: str, cause: str) -> None:
        super().__init__(
            f"The API server forbids {request}: {cause}. Grant it to the operator's service account.",
            metadata={"request": request},
        )


class DefinitionsOutdated(errors.FailedPrecondition):
    """The installed kinds are older than this operator."""

    reason = "DEFINITIONS_OUTDATED"

    def __init__(self, name: str, installed: int, needed: int) -> None:
        super().__init__(
            f"The CustomResourceDefinition {name} is of version {installed}; this operator needs {needed}. Upgrade the "
            "chart touchstone-crds, then start the operator again.",
            metadata={"definition": name, "installed": str(installed), "needed": str(needed)},
        )


class ClusterRefused(errors.Invalid):
    """The API server refuses an object."""

    reason = "CLUSTER_REFUSED"

    def __init__(self, request: str, cause: str) -> None:
        super().__init__((), message=f"The API server refuses {request}: {cause}")
        self.metadata["request"] = request


class StaleObject(errors.Conflict):
    """The object changed since it was read."""

    reason = "STALE_OBJECT"

    def __init__(self, request: str) -> None:
        super().__init__(
            f"{request} met an object that had changed. It will be read again.", metadata={"request": request}
        )


class ModelUnresolved(errors.Unavailable):
    """The digest of the weights is being found out."""

    reason = "MODEL_UNRESOLVED"

    def __init__(self, uri: str, progress: str) -> None:
        super().__init__(f"{progress} Give the digest in model.revision to skip this.", metadata={"uri": uri})


class ModelNotFound(errors.NotFound):
    """The weights do not exist or do not have their digest."""

    reason = "MODEL_NOT_FOUND"

    def __init__(self, uri: str, cause: str) -> None:
        super().__init__(f"The weights cannot be resolved: {cause}", metadata={"uri": uri})


class RunNotFound(errors.NotFound):
    """The evaluation service does not know a run."""

    reason = "RUN_NOT_FOUND"

    def __init__(self, dispatch_id: str) -> None:
        super().__init__(
            f"The evaluation service does not know run {dispatch_id}. Start it.", metadata={"dispatch_id": dispatch_id}
        )


class BuildNotFound(errors.NotFound):
    """The retrieval service does not know a build."""

    reason = "BUILD_NOT_FOUND"

    def __init__(self, dispatch_id: str) -> None:
        super().__init__(
            f"The retrieval service does not know build {dispatch_id}. Start it.", metadata={"dispatch_id": dispatch_id}
        )


class PipelineNotFound(errors.NotFound):
    """The data service does not know a pipeline."""

    reason = "PIPELINE_NOT_FOUND"

    def __init__(self, dispatch_id: str) -> None:
        super().__init__(
            f"The data service does not know pipeline {dispatch_id}. Start it.", metadata={"dispatch_id": dispatch_id}
        )


class TrainingNotFound(errors.NotFound):
    """The finetuning service does not know a training."""

    reason = "TRAINING_NOT_FOUND"

    def __init__(self, dispatch_id: str) -> None:
        super().__init__(
            f"The finetuning service does not know training {dispatch_id}. Start it.",
            metadata={"dispatch_id": dispatch_id},
        )


class PeerUnavailable(errors.Unavailable):
    """A gRPC peer did not answer."""

    reason = "PEER_UNAVAILABLE"

    def __init__(self, peer: str, cause: str) -> None:
        super().__init__(f"The {peer} service did not answer: {cause}. It is tried again.", metadata={"peer": peer})


class PeerRefused(errors.Invalid):
    """A gRPC peer refuses a request."""

    reason = "PEER_REFUSED"

    def __init__(self, peer: str, cause: str) -> None:
        super().__init__((), message=f"The {peer} service refuses the request: {cause}")
        self.metadata["peer"] = peer


class LeaseLost(errors.Unavailable):
    """Another replica holds the lease."""

    reason = "LEASE_LOST"

    def __init__(self, name: str) -> None:
        super().__init__(f"Lease {name} was lost. This process ends; start it again.", metadata={"lease": name})

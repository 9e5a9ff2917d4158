"""What can go wrong with the Kubernetes API."""

from touchstone_runtime import errors
from touchstone_runtime.cluster.references import SecretReference


class ClusterUnavailable(errors.Unavailable):
    """The Kubernetes API did not answer."""

    reason = "CLUSTER_UNAVAILABLE"

    def __init__(self, cause: str) -> None:
        super().__init__(f"The Kubernetes API does not answer: {cause}", metadata={"cause": cause})


class SecretNotFound(errors.Unavailable):
    """There is no Secret of this name: not yet, where it comes with what names it."""

    reason = "SECRET_NOT_FOUND"

    def __init__(self, reference: SecretReference) -> None:
        super().__init__(
            f"There is no Secret {reference.name} in the namespace {reference.namespace}. Create it there.",
            metadata={"namespace": reference.namespace, "name": reference.name},
        )


class SecretForbidden(errors.FailedPrecondition):
    """The service may not read it."""

    reason = "SECRET_FORBIDDEN"

    def __init__(self, reference: SecretReference, setting: str) -> None:
        super().__init__(
            f"The Secret {reference.name} in the namespace {reference.namespace} may not be read: bind a Role with the "
            f"verb get on it to the service account of the worker, or set {setting} of the chart.",
            metadata={"namespace": reference.namespace, "name": reference.name},
        )

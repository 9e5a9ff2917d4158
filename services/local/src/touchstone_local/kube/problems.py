"""A Kubernetes Status as one of our errors. Pure."""

import json
from collections.abc import Mapping

from touchstone_runtime.errors import DomainError, Internal, Unauthenticated, Violation

from touchstone_local import errors, fields


def from_answer(http_status: int, body: str, *, what: str) -> DomainError:
    """Return the error for an answer that is not a success.

    Args:
        http_status: The HTTP status.
        body: The answer's body: a Status object, or any text.
        what: What was asked, for the sentence: `apply ModelDeployment default/chat`.
    """
    status = _decode(body)
    message = fields.text(status, "message", default=body.strip()[:300] or f"HTTP {http_status}")
    sentence = f"Could not {what}: {message.rstrip('.')}."
    metadata = {"reason": fields.text(status, "reason"), "status": str(http_status)}
    if http_status in (400, 422):
        return errors.ObjectInvalid(_violations(status), message=sentence)
    if http_status == 409 and metadata["reason"] == "AlreadyExists":
        return errors.ObjectExists(sentence, metadata=metadata)
    kind, advice = _KINDS.get(http_status, (Internal, ""))
    return kind(f"{sentence}{advice}", metadata=metadata)


_KINDS: Mapping[int, tuple[type[DomainError], str]] = {
    401: (Unauthenticated, " Check the user of your kubeconfig."),
    403: (errors.Refused, ""),
    404: (errors.ObjectNotFound, ""),
    409: (errors.ObjectConflict, ""),
    410: (errors.ObjectConflict, ""),
    429: (errors.ClusterUnavailable, " Try again."),
    500: (errors.ClusterUnavailable, " Try again."),
    502: (errors.ClusterUnavailable, " Try again."),
    503: (errors.ClusterUnavailable, " Try again."),
    504: (errors.ClusterUnavailable, " Try again."),
}


def _violations(status: fields.Object) -> list[Violation]:
    causes = fields.items(status, "details", "causes")
    return [Violation(fields.text(cause, "field"), fields.text(cause, "message")) for cause in causes]


def _decode(body: str) -> fields.Object:
    try:
        decoded = json.loads(body)
    except ValueError:
        return {}
    return decoded if isinstance(decoded, dict) else {}

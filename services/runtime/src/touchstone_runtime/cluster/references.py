"""Secrets by their names, so that no record holds what they say. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from touchstone_runtime.errors import Violation

MAX_NAME = 253
TAKERS = ("hf", "s3", "oci")
"""Schemes of addresses that take keys of a Secret: those of `artefacts.credentials.KEYS`, which loads more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretReference:
    """The name of a Secret."""

    namespace: str
    name: str


class Secrets(Protocol):
    """Reads Secrets, each when it is needed. Blocking."""

    def read(self, reference: SecretReference | None) -> Mapping[str, str]:
        """Read what a Secret holds; of none, nothing.

        Raises:
            SecretNotFound: There is none of this name; a later try may find it.
            SecretForbidden: The service may not read it.
            ClusterUnavailable: The Kubernetes API does not answer.
        """
        ...


class NoSecrets:
    """The Secrets of who may read none."""

    def read(self, reference: SecretReference | None) -> Mapping[str, str]:
        """Return nothing.

        Raises:
            ValueError: A Secret is named, which the door should have refused.
        """
        if reference is not None:
            raise ValueError(f"the Secret {reference.name} is not read here")
        return {}


def is_taken(uri: str) -> bool:
    """Tell whether an address takes keys of a Secret; others go by the identity of who fetches."""
    return uri.partition("://")[0] in TAKERS


def faults(reference: SecretReference | None, uri: str, path: str) -> Iterator[Violation]:
    """Check a reference to a Secret in a request.

    Args:
        reference: The reference; None is none.
        uri: The address that the Secret is for.
        path: The field of the reference.
    """
    if reference is None:
        return
    for field, value in (("namespace", reference.namespace), ("name", reference.name)):
        if not 0 < len(value) <= MAX_NAME or "/" in value:
            yield Violation(f"{path}.{field}", f"Must be the {field} of a Secret, 1 to {MAX_NAME} characters.")
    if not is_taken(uri):
        takers = ", ".join(f"{scheme}://" for scheme in TAKERS)
        yield Violation(path, f"Must not be set: only addresses of {takers} take the keys of a Secret.")

"""Addresses of weights, at a commit or as a digest. Pure."""

import re

from touchstone_runtime.revisions import Digest

from touchstone_operator.api.common import REPOSITORY

_REPOSITORY = re.compile(REPOSITORY)
_DIGEST = re.compile(r"^sha256:[0-9a-f]{64}$")


def at(uri: str, revision: str | None) -> str:
    """Write a commit into an address of the hub, as it is fetched from: `hf://ORGANISATION/REPOSITORY@COMMIT[/PATH]`.

    A digest says what is expected, not where it lies, and leaves the address as it is. The API server refuses a commit
    of anything but a repository.
    """
    found = _REPOSITORY.match(uri)
    if not revision or digest(revision) or not found:
        return uri
    return f"{found[1]}@{revision}{uri[found.end(1) :]}"


def digest(revision: str | None) -> Digest | None:
    """Take a revision as the digest that it is; None: it is a commit, or there is none."""
    return Digest(revision) if revision and _DIGEST.match(revision) else None

"""Addresses of weights at a commit. Pure."""

import re

from touchstone_operator.api.common import REPOSITORY

_REPOSITORY = re.compile(REPOSITORY)
_DIGEST_PREFIX = "sha256:"


def at(uri: str, revision: str | None) -> str:
    """Write a commit into an address of the hub, as it is fetched from: `hf://ORGANISATION/REPOSITORY@COMMIT[/PATH]`.

    A digest says what is expected, not where it lies, and leaves the address as it is. The API server refuses a commit
    of anything but a repository.
    """
    found = _REPOSITORY.match(uri)
    if not revision or revision.startswith(_DIGEST_PREFIX) or not found:
        return uri
    return f"{found[1]}@{revision}{uri[found.end(1) :]}"

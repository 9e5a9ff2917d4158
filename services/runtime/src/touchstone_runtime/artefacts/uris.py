"""Addresses of artefacts. Pure."""

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from touchstone_runtime.artefacts.faults import UriInvalid
from touchstone_runtime.revisions import Digest

SCHEMES = ("file", "pypi", "http", "https", "hf", "s3", "gs", "oci")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
PACKAGE = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[A-Za-z0-9][A-Za-z0-9.!+_-]*)/(?P<path>.+)")
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
IN_REGISTRY = re.compile(
    r"(?P<registry>(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?)"
    rf"/(?P<repository>{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
"""A manifest in a registry; the grammar is that of the OCI distribution specification."""
IN_REGISTRY_FORM = "must look like oci://REGISTRY/REPOSITORY, with :TAG or @sha256:MANIFEST, in small letters"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A URI taken apart: scheme, what lies behind it, and the digest it promises."""

    uri: str
    scheme: str
    location: str
    """Without scheme and digest."""
    digest: Digest | None

    @property
    def is_folder(self) -> bool:
        """Whether a folder is meant: by a slash at the end, a repository of a hub without a path, or a registry."""
        is_repository = self.scheme == "hf" and self.location.count("/") == 1
        return self.location.endswith("/") or is_repository or self.scheme == "oci"

    @property
    def name(self) -> str:
        """The last part of the path: how the file is called in the cache."""
        path = urlsplit(f"//{self.location}").path if self.scheme in ("http", "https") else self.location
        return re.sub(r"[^A-Za-z0-9._-]", "_", path.rstrip("/").rpartition("/")[2]) or "artefact"


def parse(uri: str, *, digest: str = "") -> Address:
    """Take a URI apart.

    Args:
        uri: `SCHEME://LOCATION` with an optional `#sha256=HEX`.
        digest: A digest known from elsewhere; it must agree with the URI's own.

    Raises:
        UriInvalid: The scheme is unknown, a digest is malformed or contradicts another, or the form is not that of
            the scheme.
    """
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme not in SCHEMES or not rest:
        raise UriInvalid(uri, f"must begin with one of {', '.join(f'{s}://' for s in SCHEMES)}")
    location, _, fragment = rest.partition("#")
    promised = fragment.replace("sha256=", "sha256:", 1)
    for found in filter(None, (promised, digest)):
        if not DIGEST.fullmatch(found):
            raise UriInvalid(uri, f"has a digest that is not sha256 and 64 hexadecimal digits: {found!r}")
    if promised and digest and promised != digest:
        raise UriInvalid(uri, f"names {promised}, but {digest} was asked for")
    if scheme == "pypi" and not PACKAGE.fullmatch(location):
        raise UriInvalid(
            uri, "must look like pypi://NAME==VERSION/PATH/IN/THE/WHEEL#sha256=HEX, with a slash at the end of a folder"
        )
    if scheme == "oci" and not IN_REGISTRY.fullmatch(location):
        raise UriInvalid(uri, IN_REGISTRY_FORM)
    location = unquote(location) if scheme in ("file", "pypi") else location
    return Address(uri=uri, scheme=scheme, location=location, digest=Digest(promised or digest) or None)

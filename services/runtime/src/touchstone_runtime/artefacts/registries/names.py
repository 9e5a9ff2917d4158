"""What an `oci://` address names: a registry, a repository in it, and a manifest there. Pure."""

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from touchstone_runtime.artefacts import uris
from touchstone_runtime.artefacts.faults import UriInvalid

DOCKER_HUB = "docker.io"
_DOCKER_HUB_API = "registry-1.docker.io"


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A repository, and what is meant in it."""

    uri: str
    """The address as it was given, without a digest of its contents: what messages call it."""
    registry: str
    """HOST[:PORT], in small letters."""
    repository: str
    tag: str
    """Empty: none is named."""
    digest: str
    """Digest of the manifest. Empty: the tag decides."""

    @property
    def reference(self) -> str:
        """What to ask the registry for: the digest, else the tag, else `latest`, as every client does."""
        return self.digest or self.tag or "latest"

    def base_url(self, plain_http_registries: Collection[str]) -> str:
        """Return the URL below which the registry answers for this repository.

        Args:
            plain_http_registries: HOST or HOST:PORT of those that speak plain HTTP. This machine's always do.
        """
        host = _host(self.registry)
        is_plain = _is_loopback(host) or not {self.registry, host}.isdisjoint(plain_http_registries)
        api = _DOCKER_HUB_API if self.registry == DOCKER_HUB else self.registry
        return f"{'http' if is_plain else 'https'}://{api}/v2/{self.repository}/"


def read(uri: str) -> Name:
    """Take an address apart.

    Raises:
        UriInvalid: It is not of the form `oci://REGISTRY/REPOSITORY[:TAG][@sha256:MANIFEST]`.
    """
    address = uris.parse(uri)
    found = uris.IN_REGISTRY.fullmatch(address.location) if address.scheme == "oci" else None
    if found is None:
        raise UriInvalid(uri, uris.IN_REGISTRY_FORM)
    return Name(
        uri=f"oci://{address.location}",
        registry=found["registry"].lower(),
        repository=found["repository"],
        tag=found["tag"] or "",
        digest=found["digest"] or "",
    )


def _host(registry: str) -> str:
    host = urlsplit(f"//{registry}").hostname or registry
    return f"[{host}]" if ":" in host else host


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False

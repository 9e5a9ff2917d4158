"""What a Secret with the credentials of a source holds: the variables that every tool of that source reads. Pure.

So one Secret serves whoever reads it as a mapping and whoever has it as its environment, as engines do.
"""

from collections.abc import Mapping
from typing import Any

from touchstone_runtime.artefacts.faults import CredentialsUnusable

_PAIR = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
KEYS = {
    "hf": ("HF_TOKEN",),
    "s3": (*_PAIR, "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"),
    "oci": (".dockerconfigjson", "DOCKER_AUTH_CONFIG"),
}
"""By scheme. Others take none: what may be read there goes by the identity of the pod."""
NEEDED = {"hf": ("HF_TOKEN",), "s3": _PAIR}
"""Those without which none is used: keys of who reads the Secret, in place of them, would be shown to its endpoint."""


def hub_token(uri: str, credentials: Mapping[str, str]) -> str | None:
    """Return the token of an address of a hub; None: that of the environment, if there is one.

    Raises:
        CredentialsUnusable: There are credentials, and no token among them.
    """
    return _usable(uri, credentials).get("HF_TOKEN")


def storage_options(uri: str, credentials: Mapping[str, str]) -> dict[str, Any]:
    """Return fsspec's options for an address of object storage; none: by the environment.

    Raises:
        CredentialsUnusable: There are credentials, and not those that this storage needs, or its endpoint is no URL.
    """
    if not credentials:
        return {}
    usable = _usable(uri, credentials)
    if not usable.get("AWS_ENDPOINT_URL", "https://").startswith(("https://", "http://")):
        raise CredentialsUnusable(uri, "AWS_ENDPOINT_URL must begin with https:// or http://")
    region = usable.get("AWS_DEFAULT_REGION")
    options = {
        "key": usable.get("AWS_ACCESS_KEY_ID"),
        "secret": usable.get("AWS_SECRET_ACCESS_KEY"),
        "token": usable.get("AWS_SESSION_TOKEN"),
        "endpoint_url": usable.get("AWS_ENDPOINT_URL"),
        "client_kwargs": {"region_name": region} if region else None,
    }
    return {name: value for name, value in options.items() if value}


def registry_configuration(uri: str, credentials: Mapping[str, str]) -> str:
    """Return the JSON with the logins of registries; empty: that of the environment, if there is one.

    Raises:
        CredentialsUnusable: There are credentials, and no such JSON among them.
    """
    found = next(filter(None, (credentials.get(key, "").strip() for key in KEYS["oci"])), "")
    if credentials and not found:
        advice = f"The Secret needs {' or '.join(KEYS['oci'])}: make it with kubectl create secret docker-registry"
        raise CredentialsUnusable(uri, advice)
    return found


def _usable(uri: str, credentials: Mapping[str, str]) -> dict[str, str]:
    scheme = uri.partition("://")[0]
    stripped = {key: credentials.get(key, "").strip() for key in KEYS.get(scheme, ())}
    usable = {key: value for key, value in stripped.items() if value}
    needed = NEEDED.get(scheme, ())
    if credentials and not (needed and usable.keys() >= set(needed)):
        advice = f"The Secret needs {' and '.join(needed)}" if needed else "It takes none: remove the reference"
        raise CredentialsUnusable(uri, advice)
    return usable

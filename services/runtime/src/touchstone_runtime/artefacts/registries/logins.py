"""Who one is to a registry, as Docker's configuration says it. Pure.

See https://docs.docker.com/reference/cli/docker/login/ for the file, and Kubernetes' Secrets of the type
`kubernetes.io/dockerconfigjson`. Helper programs and stores of credentials are not called.
"""

import base64
import binascii
import json
from dataclasses import dataclass, field
from typing import Any

from touchstone_runtime.artefacts.faults import CredentialsUnusable
from touchstone_runtime.artefacts.registries.names import DOCKER_HUB, Name

_NAMES_OF_DOCKER_HUB = ("index.docker.io", "registry-1.docker.io")


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A name with its password, or with a token that stands for both. Its secrets are never shown."""

    username: str
    password: str = field(repr=False)
    identity_token: str = field(default="", repr=False)
    """A refresh token, as a registry hands it out at a login. Empty: the password counts."""


def find(configuration: str, name: Name) -> Login | None:
    """Find the login for a repository; of several entries the one with the longest path counts, as with the kubelet.

    Args:
        configuration: The JSON of a `config.json`.
        name: The repository.

    Raises:
        CredentialsUnusable: It cannot be read, or a helper program holds the login.
    """
    try:
        document = json.loads(configuration)
        entries: dict[str, Any] = dict(document.get("auths") or {})
        helpers: dict[str, Any] = dict(document.get("credHelpers") or {})
        has_store = bool(document.get("credsStore"))
    except (ValueError, AttributeError, TypeError):
        advice = "The registry's configuration is not JSON as docker login writes it"
        raise CredentialsUnusable(name.uri, advice) from None  # the error quotes what it could not read
    if any(_is_for(key, name) for key in helpers):
        raise CredentialsUnusable(
            name.uri, f"credHelpers name a program for {name.registry}, and none is run here: give auths an entry"
        )
    found = sorted((key for key in entries if _is_for(key, name)), key=lambda key: len(_place(key)[1]))
    if not found:
        return None
    login = _login(entries[found[-1]], name)
    if login is None and has_store:
        raise CredentialsUnusable(
            name.uri, f"credsStore holds the login of {name.registry}, and none is asked here: give its entry an auth"
        )
    return login


def _place(key: str) -> tuple[str, str]:
    """Take a key apart: registry and path. `https://HOST/v1/` is how Docker writes a registry as a whole."""
    host, _, path = key.partition("://")[2].partition("/") if "://" in key else key.partition("/")
    path = path.strip("/")
    host = host.lower()
    return DOCKER_HUB if host in _NAMES_OF_DOCKER_HUB else host, "" if path in ("v1", "v2") else path


def _is_for(key: str, name: Name) -> bool:
    registry, path = _place(key)
    return registry == name.registry and (not path or f"{name.repository}/".startswith(f"{path}/"))


def _login(entry: Any, name: Name) -> Login | None:
    """Read an entry; None: it is empty, as where a store holds the login."""
    fault = CredentialsUnusable(
        name.uri, f"The entry of {name.registry} needs auth, or username and password, or identitytoken"
    )
    if not isinstance(entry, dict) or not all(isinstance(value, str) for value in entry.values()):
        raise fault
    username, password = entry.get("username", ""), entry.get("password", "")
    if entry.get("auth"):
        try:
            username, _, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise fault from None  # the error quotes what it could not read
    token = entry.get("identitytoken", "")
    if not (token or (username and password)):
        if entry.get("auth") or username or password:
            raise fault
        return None
    return Login(username=username, password=password.rstrip("\0"), identity_token=token)

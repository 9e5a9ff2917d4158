"""Showing a registry who one is: by name and password, or by a token that its own token server gives.

The flow is that of the distribution project's "Token Authentication Specification". What proves who one is goes to the
registry and to the token server that it names, never to where it redirects.
"""

import base64
from collections.abc import Generator
from typing import NamedTuple
from urllib.request import parse_http_list, parse_keqv_list

import httpx

from touchstone_runtime.artefacts.faults import ArtefactUnavailable, CredentialsUnusable
from touchstone_runtime.artefacts.registries.logins import Login

WANTED = "The registry gives it only to a login: name a Secret of the type kubernetes.io/dockerconfigjson"
"""Advice for who came as nobody."""
_CLIENT = "touchstone"
"""What a token server notes about who asks."""
_SCHEMES = ("", "basic", "bearer")
"""Ways to show who one is, the best last."""


class _Challenge(NamedTuple):
    scheme: str
    """`bearer` or `basic`."""
    parameters: dict[str, str]


class SignIn(httpx.Auth):
    """Signs requests to one repository; a token is asked for where the registry wants one, and again where it ended."""

    def __init__(self, login: Login | None, *, uri: str, origin: httpx.URL, scope: str) -> None:
        """Prepare.

        Args:
            login: Who one is. None: nobody; registries give public repositories to a token of nobody.
            uri: The artefact's address, for messages.
            origin: Scheme, host and port of the registry.
            scope: What a token is asked for: `repository:NAME:ACTIONS`.
        """
        self._login = login
        self._uri = uri
        self._origin = origin
        self._scope = scope
        self._header = ""

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign a request, and once more if the registry says how; bodies of answers are left to who asked."""
        if self._is_registry(request.url) and self._header:
            request.headers["Authorization"] = self._header
        answer = yield request
        if answer.status_code != httpx.codes.UNAUTHORIZED or not self._is_registry(answer.url):
            return
        challenge = _challenge(answer)
        if challenge.scheme == "bearer":
            asked = yield self._asking(challenge.parameters, request)
            self._header = f"Bearer {self._token(asked)}"
        elif challenge.scheme == "basic" and self._login:
            self._header = _basic(self._login)
        else:
            return
        request.headers["Authorization"] = self._header
        yield request

    def _is_registry(self, url: httpx.URL) -> bool:
        mine, others = self._origin, url
        return (mine.scheme, mine.host, mine.port) == (others.scheme, others.host, others.port)

    def _asking(self, parameters: dict[str, str], request: httpx.Request) -> httpx.Request:
        """Write the request for a token, as patient as another. Refresh tokens are posted: addresses are logged."""
        fields = {"scope": self._scope}
        if parameters.get("service"):
            fields["service"] = parameters["service"]
        realm = parameters.get("realm", "")
        if not realm.startswith(("https://", "http://")):
            raise ArtefactUnavailable(self._uri, "the registry asks for a token and does not say where it is given")
        if self._login and self._login.identity_token:
            secret = {"grant_type": "refresh_token", "refresh_token": self._login.identity_token}
            return httpx.Request(
                "POST", realm, data={**fields, **secret, "client_id": _CLIENT}, extensions=request.extensions
            )
        headers = {"Authorization": _basic(self._login)} if self._login else {}
        return httpx.Request(
            "GET", httpx.URL(realm).copy_merge_params(fields), headers=headers, extensions=request.extensions
        )

    def _token(self, answer: httpx.Response) -> str:
        """Read a token server's answer. What it says is never shown: it may hold a token."""
        if answer.status_code in (400, 401, 403):
            advice = "Check the login: the registry's token server does not take it" if self._login else WANTED
            raise CredentialsUnusable(self._uri, advice)
        if answer.status_code != httpx.codes.OK:
            raise ArtefactUnavailable(self._uri, f"the registry's token server answered {answer.status_code}")
        try:
            answer.read()
            document = answer.json()
            token = document.get("token") or document.get("access_token")
        except (ValueError, AttributeError):
            token = None
        if not isinstance(token, str) or not token.isprintable():
            raise ArtefactUnavailable(self._uri, "the registry's token server gave no token")
        return token


def _challenge(answer: httpx.Response) -> _Challenge:
    """Read how a registry wants to be shown who one is (RFC 9110, 11.6.1); of several ways a token is taken."""
    found = [_Challenge("", {})]
    for line in answer.headers.get_list("WWW-Authenticate"):
        scheme, _, rest = line.strip().partition(" ")
        parameters = parse_keqv_list([part for part in parse_http_list(rest) if part.partition("=")[2]])
        if scheme.lower() in _SCHEMES:
            found.append(_Challenge(scheme.lower(), parameters))
    return max(found, key=lambda each: _SCHEMES.index(each.scheme))


def _basic(login: Login) -> str:
    return f"Basic {base64.b64encode(f'{login.username}:{login.password}'.encode()).decode()}"

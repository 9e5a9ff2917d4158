"""One repository of a registry, by the OCI distribution specification 1.1, over httpx.

Errors of the library and of the registry are told as this package's own; what passes is tried again.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

import httpx
import tenacity

from touchstone_runtime.artefacts import credentials
from touchstone_runtime.artefacts.faults import (
    ArtefactNotFound,
    ArtefactUnavailable,
    ArtefactUnusable,
    CredentialsUnusable,
)
from touchstone_runtime.artefacts.registries import logins, tokens
from touchstone_runtime.artefacts.registries.logins import Login
from touchstone_runtime.artefacts.registries.names import Name
from touchstone_runtime.artefacts.registries.surroundings import Surroundings

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0
STORE_SECONDS = 900.0
"""How long a registry may be silent after the last byte of a file: those on object storage copy it first."""
PAUSES_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Between tries: a registry that is busy for half a minute is waited for."""
MANIFEST_BYTES = 4 * 1024 * 1024
"""Registries take no larger manifest, by the specification's advice."""
_PASSING = (408, 425, 429, 500, 502, 503, 504)

T = TypeVar("T")


class Repository:
    """A repository, and who one is to it."""

    def __init__(self, name: Name, client: httpx.Client, *, has_login: bool, pauses_seconds: tuple[float, ...]) -> None:
        self.name = name
        self._client = client
        self._has_login = has_login
        self._pauses_seconds = pauses_seconds

    def persist(self, step: Callable[[], T]) -> T:
        """Do a step, and again after a pause while the registry does not answer."""
        waits = tenacity.wait_chain(*map(tenacity.wait_fixed, self._pauses_seconds or (0,)))
        tries = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(ArtefactUnavailable),
            stop=tenacity.stop_after_attempt(len(self._pauses_seconds) + 1),
            wait=waits,
            reraise=True,
        )
        return tries(step)

    def read(self, path: str, headers: Mapping[str, str]) -> bytes:
        """Read what is small, as manifests are."""
        with self.ask("GET", path, headers=headers) as answer:
            content = b""
            for chunk in answer.iter_bytes():
                content += chunk
                if len(content) > MANIFEST_BYTES:
                    raise ArtefactUnusable(
                        self.name.uri, f"its manifest has more than {MANIFEST_BYTES} bytes", "Check what was pushed"
                    )
            return content

    @contextmanager
    def ask(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, missing: bool = False
    ) -> Iterator[httpx.Response]:
        """Ask for what lies at a path; it may lie elsewhere, and its body is not read yet.

        Args:
            method: GET or HEAD.
            path: Below the repository.
            headers: What else the request says.
            missing: Whether 404 is an answer, not an error.
        """
        with self._translated(), self._client.stream(method, path, headers=headers, follow_redirects=True) as answer:
            if not (missing and answer.status_code == httpx.codes.NOT_FOUND):
                self._check(answer)
            yield answer

    def send(
        self, method: str, url: str, *, content: Iterable[bytes] | bytes = b"", headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Send something to a path below the repository, or to where the registry said.

        Args:
            method: POST or PUT.
            url: The path or address.
            content: The body; one that is iterated over is so once a try.
            headers: What else the request says; the length of a body that is iterated over among it.
        """
        timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS, read=STORE_SECONDS)
        with self._translated():
            answer = self._client.request(method, url, content=content, headers=headers, timeout=timeout)
            self._check(answer)
            return answer

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as error:
            raise ArtefactUnavailable(self.name.uri, str(error) or type(error).__name__) from error
        except httpx.InvalidURL as error:
            raise ArtefactUnavailable(self.name.uri, "the registry sends to an address that cannot be read") from error

    def _check(self, answer: httpx.Response) -> None:
        """Raise what an answer other than a good one means."""
        status = answer.status_code
        if answer.is_success or status == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return
        uri, said = self.name.uri, f"the registry answered {status}{_code(answer)}"
        if status in (401, 403):
            meant = (
                "the registry does not take the login" if status == httpx.codes.UNAUTHORIZED else "it may not do this"
            )
            raise CredentialsUnusable(uri, f"Check the login: {meant} ({said})" if self._has_login else tokens.WANTED)
        if status in (404, 410):
            raise ArtefactNotFound(uri, said)
        if status in _PASSING:
            raise ArtefactUnavailable(uri, said)
        raise ArtefactUnusable(uri, said, "Check the address, and what the registry allows")


def _code(answer: httpx.Response) -> str:
    """Return the code of a registry's error; what else it says may be anything."""
    try:
        answer.read()
        code = str(answer.json()["errors"][0]["code"])
    except (ValueError, LookupError, TypeError):
        return ""
    return f" {code}" if re.fullmatch(r"[A-Z_]{1,64}", code) else ""


@contextmanager
def opened(
    name: Name,
    secret: Mapping[str, str],
    *,
    actions: str,
    surroundings: Surroundings,
    pauses_seconds: tuple[float, ...] = PAUSES_SECONDS,
) -> Iterator[Repository]:
    """Open a repository.

    Args:
        name: The repository.
        secret: Keys of a Secret. Empty: who one is, is found in the surroundings.
        actions: What will be done: `pull`, or `pull,push`.
        surroundings: What else is known of registries.
        pauses_seconds: Between tries.

    Raises:
        CredentialsUnusable: A Secret has no login for the registry, or a configuration cannot be read.
    """
    login = _login(name, secret, surroundings)
    base = httpx.URL(name.base_url(surroundings.plain_http_registries))
    sign_in = tokens.SignIn(login, uri=name.uri, origin=base, scope=f"repository:{name.repository}:{actions}")

    def refuse_plain(request: httpx.Request) -> None:
        if base.scheme == "https" and request.url.scheme != "https":
            cause = f"the registry sends to {request.url.scheme}://{request.url.host}, where all can read along"
            raise ArtefactUnusable(name.uri, cause, "Let the registry know its own https:// address")

    def refuse_to_post_elsewhere(answer: httpx.Response) -> None:
        """What is posted may be a refresh token, and httpx would post it again wherever it is sent."""
        if answer.request.method == "POST" and answer.has_redirect_location:
            cause = f"{answer.url.host} sends elsewhere what is posted to it"
            raise ArtefactUnusable(name.uri, cause, "Name the registry, and let it name its token server, directly")

    with httpx.Client(
        base_url=base,
        auth=sign_in,
        headers={"Accept-Encoding": "identity"},
        timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
        event_hooks={"request": [refuse_plain], "response": [refuse_to_post_elsewhere]},
    ) as client:
        yield Repository(name, client, has_login=login is not None, pauses_seconds=pauses_seconds)


def _login(name: Name, secret: Mapping[str, str], surroundings: Surroundings) -> Login | None:
    given = credentials.registry_configuration(name.uri, secret)
    found = given or surroundings.configuration(name)
    login = logins.find(found, name) if found else None
    if given and login is None:
        raise CredentialsUnusable(name.uri, f"The Secret has no login for {name.registry}")
    return login

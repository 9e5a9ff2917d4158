"""Requests to a Kubernetes API server, with objects as mappings."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, cast

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException, load_kube_config

from touchstone_local import errors, fields
from touchstone_local.fields import Object
from touchstone_local.kube import problems
from touchstone_local.kube.resources import Resource

FIELD_MANAGER = "touchstone"
REQUEST_TIMEOUT_SECONDS = 30.0
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
_BROKEN = (aiohttp.ClientError, asyncio.TimeoutError, ConnectionError, OSError)


class Listing(NamedTuple):
    """Objects with the version at which they were read."""

    items: tuple[Object, ...]
    resource_version: str


class Event(NamedTuple):
    """One event of a watch."""

    type: str
    """ADDED, MODIFIED, DELETED or BOOKMARK."""
    object: Object


class Cluster:
    """A Kubernetes API server. Use `connect` and close it, or use it as an asynchronous context manager."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    @classmethod
    async def connect(cls, kubeconfig: Path | str | None) -> Self:
        """Open a client for a kubeconfig; None means kubectl's default.

        Raises:
            ClusterUnavailable: The kubeconfig cannot be read.
        """
        configuration = Configuration()
        path = None if kubeconfig is None else str(kubeconfig)
        try:
            await load_kube_config(config_file=path, client_configuration=configuration, persist_config=False)  # type: ignore[no-untyped-call] # kubernetes.aio.config has no annotations
        except (ConfigException, OSError) as error:
            message = f"The kubeconfig {path or '(default)'} cannot be used: {error}. Is the platform up?"
            raise errors.ClusterUnavailable(message) from error
        return cls(ApiClient(configuration=configuration))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()  # type: ignore[no-untyped-call] # without annotations in kubernetes.aio

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def get(self, resource: Resource, *, name: str, namespace: str = "") -> Object:
        """Return one object."""
        what = f"get {resource.kind} {namespace}/{name}"
        return await self.request("GET", resource.path(namespace=namespace, name=name), what=what)

    async def list(self, resource: Resource, *, namespace: str = "", label_selector: str = "") -> Listing:
        """Return the objects of a kind, in one namespace or in all."""
        query = {"labelSelector": label_selector} if label_selector else {}
        path = resource.path(namespace=namespace)
        answer = await self.request("GET", path, query=query, what=f"list {resource.plural}")
        return Listing(fields.items(answer, "items"), fields.text(answer, "metadata", "resourceVersion"))

    async def create(self, resource: Resource, body: Object, *, namespace: str = "") -> Object:
        """Create an object."""
        what = f"create {resource.kind} {namespace}/{fields.name(body)}"
        return await self.request("POST", resource.path(namespace=namespace), body=body, what=what)

    async def apply(
        self, resource: Resource, body: Object, *, namespace: str = "", manager: str = FIELD_MANAGER, force: bool = True
    ) -> Object:
        """Create or change an object by server-side apply."""
        name = fields.name(body)
        return await self.request(
            "PATCH",
            resource.path(namespace=namespace, name=name),
            body=body,
            query={"fieldManager": manager, "force": "true" if force else "false"},
            content_type="application/apply-patch+yaml",
            what=f"apply {resource.kind} {namespace}/{name}".replace(" /", " "),
        )

    async def merge(
        self, resource: Resource, body: Object, *, name: str, namespace: str = "", subresource: str = ""
    ) -> Object:
        """Change an object, or its subresource, by a JSON merge patch."""
        return await self.request(
            "PATCH",
            resource.path(namespace=namespace, name=name, subresource=subresource),
            body=body,
            content_type="application/merge-patch+json",
            what=f"patch {resource.kind} {namespace}/{name}",
        )

    async def delete(
        self, resource: Resource, *, name: str, namespace: str = "", uid: str = "", grace_seconds: int | None = None
    ) -> Object:
        """Delete an object; with a uid, only that incarnation of it."""
        body: dict[str, object] = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if uid:
            body["preconditions"] = {"uid": uid}
        if grace_seconds is not None:
            body["gracePeriodSeconds"] = grace_seconds
        what = f"delete {resource.kind} {namespace}/{name}"
        return await self.request("DELETE", resource.path(namespace=namespace, name=name), body=body, what=what)

    async def table(
        self, resource: Resource, *, namespace: str = "", name: str = "", label_selector: str = ""
    ) -> Object:
        """Return the server's own table of a kind or of one object."""
        query = {"labelSelector": label_selector} if label_selector else {}
        path = resource.path(namespace=namespace, name=name)
        return await self.request("GET", path, query=query, accept=TABLE, what=f"get {resource.plural} {name}".rstrip())

    async def watch(
        self, resource: Resource, *, namespace: str = "", name: str = "", resource_version: str = "", seconds: int = 300
    ) -> AsyncGenerator[Event, None]:
        """Yield the changes after a version until the server ends the watch.

        Raises:
            ObjectConflict: The version is too old; list again.
        """
        query = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(seconds)}
        if resource_version:
            query["resourceVersion"] = resource_version
        if name:
            query["fieldSelector"] = f"metadata.name={name}"
        what = f"watch {resource.plural}"
        timeout = aiohttp.ClientTimeout(total=None, connect=10.0, sock_read=seconds + 30.0)
        answer = await self._send("GET", resource.path(namespace=namespace), query, None, {}, timeout, what)
        try:
            async for line in answer.content:
                if line.strip():
                    yield _event(line, what)
        except _BROKEN as error:
            raise errors.ClusterUnavailable(f"The watch of {resource.plural} broke: {error}. Watch again.") from error
        finally:
            answer.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        what: str,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Object:
        """Send one request and return the decoded answer.

        Raises:
            DomainError: The server refused, or did not answer.
        """
        headers = {"Accept": accept, "Content-Type": content_type}
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_SECONDS)
        answer = await self._send(method, path, query or {}, body, headers, timeout, what)
        try:
            decoded = json.loads(await answer.read())
        except _BROKEN as error:
            raise errors.ClusterUnavailable(f"Could not {what}: the connection broke ({error}). Try again.") from error
        return cast("Object", decoded)

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: object,
        headers: Mapping[str, str],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 (aiohttp's own limits, passed through)
        what: str,
    ) -> aiohttp.ClientResponse:
        pairs: Sequence[tuple[str, str]] = list(query.items())
        serialised = await self._client.param_serialize(
            method, path, query_params=pairs, header_params=dict(headers), body=body, auth_settings=["BearerToken"]
        )
        try:
            raw: Any = await self._client.call_api(*serialised, _request_timeout=timeout)
            response: aiohttp.ClientResponse = raw.response
            if response.status >= 400:
                raise problems.from_answer(response.status, (await response.read()).decode(errors="replace"), what=what)
        except _BROKEN as error:
            server = self._client.configuration.host
            message = f"Could not {what}: the API server {server} does not answer ({error}). Is the platform up?"
            raise errors.ClusterUnavailable(message) from error
        return response


def _event(line: bytes, what: str) -> Event:
    decoded = json.loads(line)
    kind, obj = fields.text(decoded, "type"), fields.mapping(decoded, "object")
    if kind == "ERROR":
        raise problems.from_answer(fields.integer(obj, "code", default=500), json.dumps(obj), what=what)
    return Event(kind, obj)

"""The Kubernetes API: lists and watches of what the view is made of, as raw JSON."""

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes.aio import client, config

from touchstone_inference import errors
from touchstone_inference.router.ports import Event, EventType, Kind, Listing

PAGE = 500
"""Objects a page of a list."""

WATCH_SECONDS = 300
"""How long the server keeps one watch open."""

SILENCE_SECONDS = 90.0
"""A watch that is silent for longer is taken for a dead connection: servers send a bookmark about once a minute."""

_MANAGED = "app.kubernetes.io/managed-by=touchstone"
_SELECTORS = {
    Kind.DEPLOYMENT: "",
    Kind.REVISION: f"{_MANAGED},touchstone.dev/revision",
    Kind.REPLICA: f"{_MANAGED},touchstone.dev/revision,touchstone.dev/role=engine",
}
_RESOURCES = {
    Kind.DEPLOYMENT: ("/apis/touchstone.dev/v1alpha1", "modeldeployments"),
    Kind.REVISION: ("/api/v1", "configmaps"),
    Kind.REPLICA: ("/api/v1", "pods"),
}


async def connect(kubeconfig: Path | None) -> client.ApiClient:
    """Open a client: by a kubeconfig, else as a pod's service account, else as kubectl would.

    Raises:
        kubernetes.aio.config.ConfigException: There is no usable configuration.
    """
    configuration = client.Configuration()
    if kubeconfig is not None:
        await config.load_kube_config(config_file=str(kubeconfig), client_configuration=configuration)  # type: ignore[no-untyped-call] # kubernetes.aio has no annotations
    else:
        try:
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call] # kubernetes.aio has no annotations
        except config.ConfigException:
            await config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call] # kubernetes.aio has no annotations
    return client.ApiClient(configuration)


class KubernetesCluster:
    """Lists and watches through one client."""

    def __init__(self, api: client.ApiClient, *, namespace: str = "") -> None:
        """Take a client and the one namespace to look at; empty means all."""
        self._api = api
        self._namespace = namespace

    async def list(self, kind: Kind) -> Listing:
        """List a kind, page by page."""
        objects: list[Any] = []
        page: dict[str, Any] = {}
        while True:
            query = {"limit": str(PAGE)} | ({"continue": page["continue"]} if page.get("continue") else {})
            async with self._get(kind, query, aiohttp.ClientTimeout(total=60)) as response:
                document = json.loads(await response.read())
            objects += document.get("items") or []
            page = document.get("metadata") or {}
            if not page.get("continue"):
                return Listing(objects, str(page.get("resourceVersion", "")))

    @asynccontextmanager
    async def watch(self, kind: Kind, resource_version: str) -> AsyncIterator[AsyncIterator[Event]]:
        """Follow a kind from a version on."""
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=SILENCE_SECONDS)
        async with self._get(kind, query, timeout) as response:
            yield _events(kind, response)

    async def close(self) -> None:
        """Close the client."""
        await self._api.close()  # type: ignore[no-untyped-call] # kubernetes.aio has no annotations

    @asynccontextmanager
    async def _get(
        self,
        kind: Kind,
        query: dict[str, str],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own limits
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        group, plural = _RESOURCES[kind]
        path = f"{group}/namespaces/{self._namespace}/{plural}" if self._namespace else f"{group}/{plural}"
        if _SELECTORS[kind]:
            query = query | {"labelSelector": _SELECTORS[kind]}
        try:
            request = await self._api.param_serialize(
                "GET", path, query_params=list(query.items()), header_params={"Accept": "application/json"},
                auth_settings=["BearerToken"],
            )  # fmt: skip
            response = (await self._api.call_api(*request, _request_timeout=timeout)).response
            async with response:
                if response.status != 200:
                    raise _refusal(kind, response.status)
                yield response
        except (TimeoutError, aiohttp.ClientError, ssl.SSLError, OSError, ValueError) as error:
            raise errors.ClusterUnavailable(f"{type(error).__name__} for {kind}") from error


async def _events(kind: Kind, response: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    try:
        async for line in response.content:
            event = json.loads(line)
            if event["type"] == "ERROR":
                raise _refusal(kind, event["object"].get("code", 0))
            yield Event(EventType(event["type"]), event["object"])
    except aiohttp.SocketTimeoutError:
        # Silence is no failure: the next watch goes on from the last version.
        return


def _refusal(kind: Kind, code: int) -> errors.VersionGone | errors.ClusterUnavailable:
    if code == 410:
        return errors.VersionGone()
    hint = "; are the CRDs installed?" if code == 404 and kind is Kind.DEPLOYMENT else ""
    return errors.ClusterUnavailable(f"status {code} for {kind}{hint}")

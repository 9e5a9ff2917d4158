"""The Kubernetes API by `kubernetes.aio`'s transport and credentials, with objects as JSON.

Reads are consistent (no resourceVersion is given), so that nothing is deleted on the word of a stale cache.
"""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from touchstone_operator import errors, objects
from touchstone_operator.objects import JsonObject, Kind

REQUEST_TIMEOUT_SECONDS = 30.0
PAGE_SIZE = 500
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
_BROKEN = (aiohttp.ClientError, asyncio.TimeoutError, OSError)


async def connect(kubeconfig: Path | None) -> ApiClient:
    """Open a client: by a kubeconfig if there is one, else by the pod's service account.

    Raises:
        ClusterUnavailable: Neither can be used.
    """
    configuration = Configuration()
    try:
        if kubeconfig is None:
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call] # kubernetes.aio has no annotations
        else:
            await config.load_kube_config(  # type: ignore[no-untyped-call] # without annotations, as above
                config_file=str(kubeconfig), client_configuration=configuration, persist_config=False
            )
    except (config.ConfigException, OSError) as error:
        raise errors.ClusterUnavailable("the connection", str(error)) from error
    return ApiClient(configuration=configuration)


class KubeCluster:
    """The cluster port over HTTP."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def get(self, kind: Kind, namespace: str, name: str) -> JsonObject | None:
        """Read an object; None when there is none."""
        status, found = await self._send("GET", kind.path(namespace, name))
        return None if status == 404 else _with_kind(found, kind)

    async def list(self, kind: Kind, namespace: str, *, labels: Mapping[str, str] | None = None) -> list[JsonObject]:
        """Read the objects of a namespace, page by page."""
        query = {"limit": str(PAGE_SIZE)}
        if labels:
            query["labelSelector"] = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
        found: list[JsonObject] = []
        while True:
            status, page = await self._send("GET", kind.path(namespace), query=query)
            if status == 404:
                return []
            found += [_with_kind(item, kind) for item in page["items"]]
            token = page.get("metadata", {}).get("continue")
            if not token:
                return found
            query["continue"] = token

    async def apply(self, kind: Kind, obj: JsonObject) -> None:
        """Apply an object server-side, conflicts taken over."""
        metadata = obj["metadata"]
        path = kind.path(metadata["namespace"], metadata["name"])
        query = {"fieldManager": objects.FIELD_MANAGER, "force": "true"}
        await self._send("PATCH", path, query=query, body=obj, content_type=APPLY_PATCH)

    async def create(self, kind: Kind, obj: JsonObject) -> bool:
        """Create an object; False when the name is taken."""
        query = {"fieldManager": objects.FIELD_MANAGER}
        status, _ = await self._send("POST", kind.path(obj["metadata"]["namespace"]), query=query, body=obj, taken=True)
        return status != 409

    async def patch_status(self, kind: Kind, obj: JsonObject, patch: JsonObject) -> JsonObject:
        """Merge a patch into the status of an object as it was read."""
        return await self._patch(kind, obj, {"status": patch}, "/status")

    async def patch_metadata(self, kind: Kind, obj: JsonObject, patch: JsonObject) -> JsonObject:
        """Merge a patch into the metadata of an object as it was read."""
        return await self._patch(kind, obj, {"metadata": patch}, "")

    async def patch_spec(self, kind: Kind, obj: JsonObject, patch: JsonObject) -> JsonObject:
        """Merge a patch into the spec of an object as it was read."""
        return await self._patch(kind, obj, {"spec": patch}, "")

    async def delete(self, kind: Kind, obj: JsonObject) -> None:
        """Delete an object as it was read."""
        metadata = obj["metadata"]
        preconditions = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": preconditions,
            "propagationPolicy": "Background",
        }
        await self._send("DELETE", kind.path(metadata["namespace"], metadata["name"]), body=body)

    async def _patch(self, kind: Kind, obj: JsonObject, patch: JsonObject, subresource: str) -> JsonObject:
        read = obj["metadata"]
        guarded = {**patch, "metadata": {**patch.get("metadata", {}), "resourceVersion": read["resourceVersion"]}}
        path = kind.path(read["namespace"], read["name"]) + subresource
        query = {"fieldManager": objects.FIELD_MANAGER}
        status, found = await self._send("PATCH", path, query=query, body=guarded, content_type=MERGE_PATCH)
        if status == 404:
            raise errors.StaleObject(f"PATCH {path}")
        return _with_kind(found, kind)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: JsonObject | None = None,
        content_type: str = "application/json",
        taken: bool = False,
    ) -> tuple[int, JsonObject]:
        """Send a request; 404 is an answer, and 409 is one where a name may be taken."""
        request = f"{method} {path}"
        try:
            serialised = await self._client.param_serialize(
                method,
                path,
                query_params=list((query or {}).items()),
                header_params={"Accept": "application/json", "Content-Type": content_type},
                body=body,
                auth_settings=["BearerToken"],
            )
            answer: Any = await self._client.call_api(*serialised, _request_timeout=REQUEST_TIMEOUT_SECONDS)
            response: aiohttp.ClientResponse = answer.response
            decoded = json.loads(await response.read() or b"{}")
        except _BROKEN as error:
            raise errors.ClusterUnavailable(request, str(error) or type(error).__name__) from error
        except ValueError as error:
            raise errors.ClusterUnavailable(request, f"the answer is not JSON ({error})") from error
        if response.status >= 400 and response.status != 404 and not (taken and response.status == 409):
            raise _failure(request, response.status, decoded)
        return response.status, decoded


def _failure(request: str, status: int, answer: JsonObject) -> Exception:
    message = str(answer.get("message", f"HTTP {status}"))
    if status == 409:
        return errors.StaleObject(request)
    if status in (401, 403):
        return errors.ClusterForbidden(request, message)
    if status == 429 or status >= 500:
        return errors.ClusterUnavailable(request, message)
    return errors.ClusterRefused(request, message)


def _with_kind(obj: JsonObject, kind: Kind) -> JsonObject:
    """Fill in what a list leaves out of its items."""
    return {"apiVersion": kind.api_version, "kind": kind.name, **obj}

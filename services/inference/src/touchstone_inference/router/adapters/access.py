"""Tokens and rights by the Kubernetes API: TokenReview and SubjectAccessReview."""

import json
from typing import Any

import aiohttp
from kubernetes.aio import client

from touchstone_inference import errors
from touchstone_inference.router.core.access import Caller

TIMEOUT_SECONDS = 5.0
GROUP, VERSION, RESOURCE = "touchstone.dev", "v1alpha1", "modeldeployments"
VERB = "use"
"""A verb of our own: reading a ModelDeployment and asking its model are two rights."""


class KubernetesAuthority:
    """Asks the API server who somebody is, and what they may do."""

    def __init__(self, api: client.ApiClient, *, audience: str) -> None:
        """Take a client, and the audience that tokens must be made for."""
        self._api = api
        self._audience = audience

    async def review(self, token: str) -> Caller | None:
        """Return whose token it is; None for one that is not good here."""
        spec = {"token": token, "audiences": [self._audience]}
        status = await self._create("authentication.k8s.io", "tokenreviews", "TokenReview", spec)
        if not status.get("authenticated") or self._audience not in (status.get("audiences") or ()):
            return None
        user = status.get("user") or {}
        return Caller(
            name=user.get("username", ""),
            uid=user.get("uid", ""),
            groups=tuple(user.get("groups") or ()),
            extra={name: tuple(values) for name, values in (user.get("extra") or {}).items()},
        )

    async def may_use(self, caller: Caller, model: str) -> bool:
        """Tell whether a caller may use a model, `NAMESPACE/NAME`."""
        namespace, _, name = model.partition("/")
        spec = {
            "user": caller.name,
            "uid": caller.uid,
            "groups": list(caller.groups),
            "extra": {key: list(values) for key, values in caller.extra.items()},
            "resourceAttributes": {
                "group": GROUP,
                "version": VERSION,
                "resource": RESOURCE,
                "verb": VERB,
                "namespace": namespace,
                "name": name,
            },
        }
        status = await self._create("authorization.k8s.io", "subjectaccessreviews", "SubjectAccessReview", spec)
        return bool(status.get("allowed"))

    async def _create(self, group: str, plural: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
        """Have a review made and return its status."""
        try:
            request = await self._api.param_serialize(
                "POST",
                f"/apis/{group}/v1/{plural}",
                header_params={"Accept": "application/json", "Content-Type": "application/json"},
                body={"apiVersion": f"{group}/v1", "kind": kind, "spec": spec},
                auth_settings=["BearerToken"],
            )
            response = (await self._api.call_api(*request, _request_timeout=TIMEOUT_SECONDS)).response
            async with response:
                if response.status not in (200, 201):
                    raise errors.AuthorityUnavailable(f"{kind} was answered with status {response.status}")
                status: dict[str, Any] = json.loads(await response.read()).get("status") or {}
                return status
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise errors.AuthorityUnavailable(f"{type(error).__name__} for {kind}") from error

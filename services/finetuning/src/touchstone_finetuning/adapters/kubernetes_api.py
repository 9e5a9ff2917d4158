"""The Kubernetes API, as far as trainings need it: JSON over the official client's transport and credentials."""

import json
from pathlib import Path
from typing import Any, NamedTuple, Self

import urllib3
from kubernetes import config
from kubernetes.client import ApiClient, Configuration
from kubernetes.client.exceptions import ApiException

from touchstone_finetuning import errors
from touchstone_finetuning.core.trainer_jobs import JsonObject

TIMEOUT_SECONDS = 15.0
_BROKEN = (urllib3.exceptions.HTTPError, ApiException, OSError, ValueError)


class _Answer(NamedTuple):
    status: int
    body: JsonObject


class KubernetesApi:
    """Jobs, their pods, and what is complained about them, in one namespace."""

    def __init__(self, client: ApiClient, namespace: str) -> None:
        self._client = client
        self._jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        self._core = f"/api/v1/namespaces/{namespace}"

    @classmethod
    def connect(cls, kubeconfig: Path | None, namespace: str) -> Self:
        """Open a client: by a kubeconfig if there is one, else by the pod's service account.

        Raises:
            ClusterUnavailable: Neither can be used.
        """
        configuration = Configuration()
        try:
            if kubeconfig is None:
                config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call] # kubernetes.config has no annotations
            else:
                config.load_kube_config(  # type: ignore[no-untyped-call] # without annotations, as above
                    config_file=str(kubeconfig), client_configuration=configuration, persist_config=False
                )
        except (config.ConfigException, OSError) as error:
            raise errors.ClusterUnavailable(str(error)) from error
        return cls(ApiClient(configuration=configuration), namespace)

    def job(self, name: str) -> JsonObject | None:
        """Read a Job; None when there is none."""
        answer = self._send("GET", f"{self._jobs}/{name}")
        return None if answer.status == 404 else answer.body

    def create_job(self, job: JsonObject) -> JsonObject | None:
        """Create a Job; None when its name is taken."""
        answer = self._send("POST", self._jobs, job)
        return None if answer.status == 409 else answer.body

    def delete_job(self, job: JsonObject) -> None:
        """Delete a Job, which is gone once its pods are."""
        uid = job["metadata"]["uid"]
        options = {"preconditions": {"uid": uid}, "propagationPolicy": "Foreground"}
        self._send("DELETE", f"{self._jobs}/{job['metadata']['name']}", options)

    def pods(self, selector: str) -> list[JsonObject]:
        """List pods by their labels, the oldest first."""
        items = self._list("pods", ("labelSelector", selector))
        return sorted(items, key=lambda pod: pod["metadata"]["creationTimestamp"])

    def end_pod(self, pod: JsonObject, *, grace_seconds: int | None = None) -> None:
        """Delete a pod; None: with the grace that it was made with."""
        options: JsonObject = {"preconditions": {"uid": pod["metadata"]["uid"]}}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        self._send("DELETE", f"{self._core}/pods/{pod['metadata']['name']}", options)

    def warnings(self, uid: str) -> list[str]:
        """List what is complained about an object, the newest last."""
        items = self._list("events", ("fieldSelector", f"involvedObject.uid={uid},type=Warning"))
        found = sorted(items, key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
        return [str(event.get("message", "")) for event in found]

    def _list(self, plural: str, query: tuple[str, str]) -> list[JsonObject]:
        answer = self._send("GET", f"{self._core}/{plural}", query=[query])
        items: list[JsonObject] = answer.body.get("items") or []
        return items

    def _send(
        self, method: str, path: str, body: JsonObject | None = None, *, query: list[tuple[str, str]] | None = None
    ) -> _Answer:
        """Send a request; that there is none (404) and that it is there or another one (409) are answers."""
        try:
            request = self._client.param_serialize(
                method,
                path,
                query_params=query or [],
                header_params={"Accept": "application/json", "Content-Type": "application/json"},
                body=body,
                auth_settings=["BearerToken"],
            )
            response: Any = self._client.call_api(*request, _request_timeout=TIMEOUT_SECONDS)
            decoded = json.loads(response.read() or b"{}")
        except _BROKEN as error:
            raise errors.ClusterUnavailable(f"{method} {path}: {error}") from error
        if response.status >= 400 and response.status not in (404, 409):
            raise _failure(f"{method} {path}", response.status, str(decoded.get("message", "")))
        return _Answer(response.status, decoded)


def _failure(request: str, status: int, message: str) -> Exception:
    if status == 403 and "exceeded quota" in message:
        return errors.QuotaExceeded(message)
    if status == 429 or status >= 500:
        return errors.ClusterUnavailable(f"{request}: {message}")
    return errors.ClusterRefused(request, message)

"""Jobs through the Kubernetes API, as far as trainings need them. Blocking."""

from pathlib import Path
from typing import Self

from touchstone_runtime.cluster.api import Answer, ClusterApi

from touchstone_finetuning import errors
from touchstone_finetuning.core.trainer_jobs import JsonObject


class KubernetesJobs:
    """Jobs, their pods, and what is complained about them, in one namespace."""

    def __init__(self, api: ClusterApi, namespace: str) -> None:
        self._api = api
        self._jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        self._core = f"/api/v1/namespaces/{namespace}"

    @classmethod
    def connect(cls, kubeconfig: Path | None, namespace: str) -> Self:
        """Open a client; see `ClusterApi.connect`."""
        return cls(ClusterApi.connect(kubeconfig), namespace)

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
    ) -> Answer:
        """Send a request; that there is none (404) and that it is there or another one (409) are answers."""
        answer = self._api.send(method, path, body, query=query)
        if answer.status == 403 and "exceeded quota" in answer.message:
            raise errors.QuotaExceeded(answer.message)
        if answer.status >= 400 and answer.status not in (404, 409):
            raise errors.ClusterRefused(f"{method} {path}", answer.message)
        return answer

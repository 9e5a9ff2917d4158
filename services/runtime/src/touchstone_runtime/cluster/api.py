"""The Kubernetes API: JSON over the official client's transport and credentials. Blocking."""

import json
from pathlib import Path
from typing import Any, NamedTuple, Self

import urllib3
from kubernetes import config
from kubernetes.client import ApiClient, Configuration
from kubernetes.client.exceptions import ApiException

from touchstone_runtime.cluster.faults import ClusterUnavailable

TIMEOUT_SECONDS = 15.0
_BROKEN = (urllib3.exceptions.HTTPError, ApiException, OSError, ValueError)

JsonObject = dict[str, Any]


class Answer(NamedTuple):
    """What the API said to one request."""

    status: int
    body: JsonObject

    @property
    def message(self) -> str:
        """Its reason for a refusal."""
        return str(self.body.get("message", ""))


class ClusterApi:
    """Sends requests."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    @classmethod
    def connect(cls, kubeconfig: Path | None) -> Self:
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
            raise ClusterUnavailable(str(error)) from error
        return cls(ApiClient(configuration=configuration))

    def send(
        self, method: str, path: str, body: JsonObject | None = None, *, query: list[tuple[str, str]] | None = None
    ) -> Answer:
        """Send a request; a refusal is an answer.

        Raises:
            ClusterUnavailable: There is none, or none now.
        """
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
            answer = Answer(response.status, json.loads(response.read() or b"{}"))
        except _BROKEN as error:
            raise ClusterUnavailable(f"{method} {path}: {error}") from error
        if answer.status == 429 or answer.status >= 500:
            raise ClusterUnavailable(f"{method} {path}: {answer.message}")
        return answer

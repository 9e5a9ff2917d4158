"""Secrets through the Kubernetes API."""

import base64
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from touchstone_runtime.cluster.faults import SecretForbidden, SecretNotFound
from touchstone_runtime.cluster.references import SecretReference


class ClusterSecrets:
    """The Secrets of a cluster."""

    def __init__(self, kubeconfig: Path | None, *, setting: str) -> None:
        """Prepare.

        Args:
            kubeconfig: How to reach the API server; None: as the pod's service account.
            setting: The chart's value that lets this service read Secrets.
        """
        self._kubeconfig = kubeconfig
        self._setting = setting

    def read(self, reference: SecretReference | None) -> Mapping[str, str]:
        """Read what a Secret holds, by its keys."""
        if reference is None:
            return {}
        from touchstone_runtime.cluster.api import ClusterApi  # noqa: PLC0415 - an extra, 20 MB

        path = f"/api/v1/namespaces/{quote(reference.namespace, safe='')}/secrets/{quote(reference.name, safe='')}"
        answer = ClusterApi.connect(self._kubeconfig).send("GET", path)
        if answer.status == 404:
            raise SecretNotFound(reference)
        if answer.status >= 400:
            raise SecretForbidden(reference, self._setting)
        data = answer.body.get("data") or {}
        return {key: base64.b64decode(value).decode(errors="replace") for key, value in data.items()}

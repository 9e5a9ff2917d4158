"""The kubelet's settings; the only place that reads its environment."""

import os
from dataclasses import dataclass
from pathlib import Path

from touchstone_runtime.settings import setting

from touchstone_local.kubelet.core import launching


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeletSettings:
    """What a kubelet needs to know."""

    kubeconfig: Path = setting(env="KUBECONFIG")
    """How to reach the API server."""
    state_dir: Path
    """The platform's state folder; records and logs of Pods lie in `pods` below it."""
    pod_subnet: str
    """The first three numbers of the Pods' addresses: `127.88.4`."""
    listen: str
    """`HOST:PORT` of the health service."""

    log_as_json: bool = False
    """Whether logs are for machines; on one machine a person reads them."""


def inherited_environment() -> dict[str, str]:
    """Return the variables that every container gets from the kubelet; output is unbuffered so that logs are fresh."""
    return {**launching.inherited(os.environ), "PYTHONUNBUFFERED": "1"}

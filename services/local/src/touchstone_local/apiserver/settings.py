"""The API server's settings; the only place that reads its environment."""

from dataclasses import dataclass
from pathlib import Path

from touchstone_runtime.settings import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiServerSettings:
    """What the API server needs to know."""

    listen: str = setting(example="127.88.0.60:6443")
    """`HOST:PORT`; the host must be loopback. Port 0 takes a free one, which the kubeconfig then names."""
    state_dir: Path
    """The platform's state folder: `apiserver.sqlite` and `pki/` lie in it."""
    kubeconfig: Path
    """Where the kubeconfig is written."""
    kept_events: int = setting(default=10_000, minimum=100)
    """Changes that watches can resume from; older resourceVersions are answered with 410."""
    log_as_json: bool = False
    """Whether logs are for machines; on one machine a person reads them."""

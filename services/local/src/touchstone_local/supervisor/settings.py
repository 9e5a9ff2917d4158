"""The supervisor's settings; the only place that reads its environment."""

import os
from dataclasses import dataclass
from pathlib import Path

from touchstone_runtime.settings import setting

STRIPPED_PREFIXES = ("TOUCHSTONE_", "OTEL_")
"""What the user's shell says to other programs must not reach the platform's processes, but for what follows."""
PASSED_NAMES = (
    "TOUCHSTONE_LOG_CONTENT",
    "TOUCHSTONE_LOG_FORMAT",
    "TOUCHSTONE_REFLECTION",
    "TOUCHSTONE_CACHE_DIR",
    "TOUCHSTONE_PLAIN_HTTP_REGISTRIES",
    "TOUCHSTONE_TRAINER_PYTHON",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorSettings:
    """What a supervisor needs to know."""

    state_dir: Path = setting(default=Path(".touchstone"))
    """The platform's state folder."""
    external_kubeconfig: Path | None = None
    """A cluster to use in place of the embedded API server and kubelet."""

    log_as_json: bool = False
    """Whether logs are for machines; on one machine a person reads them."""


def base_environment() -> dict[str, str]:
    """Return what every process of the platform inherits."""
    passed = {
        name: value
        for name, value in os.environ.items()
        if name != "KUBECONFIG" and (not name.startswith(STRIPPED_PREFIXES) or name in PASSED_NAMES)
    }
    return {**passed, "PYTHONUNBUFFERED": "1"}

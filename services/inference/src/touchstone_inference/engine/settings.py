"""The engine's settings: the only place of the engine that reads the environment."""

from dataclasses import dataclass
from pathlib import Path

from touchstone_runtime.settings import setting
from touchstone_runtime.telemetry import LogFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Settings of `python -m touchstone_inference.engine`."""

    listen: str = setting(example="127.0.0.1:50051")
    """`HOST:PORT` of the gRPC server. Required."""
    revision_manifest: str = setting(example="'{…}'")
    """The manifest of the revision to serve, as JSON. Required."""
    cache_dir: Path | None = None
    """Folder of downloaded artefacts. Unset: `artefacts` in `artefacts_uri` if that is a folder, else in the home."""
    artefacts_uri: str = ""
    """fsspec URI of the artefact store."""
    max_queued_requests: int = setting(default=64, minimum=0, maximum=65536)
    """Requests that may wait for a slot; more are refused, so that the router tries another replica."""
    drain_delay_seconds: float = setting(default=0.0, minimum=0, maximum=600)
    """From NOT_SERVING to the last new call."""
    grace_seconds: float = setting(default=25.0, minimum=0, maximum=3600)
    """How long generations under way may go on after a stop; below the pod's grace period of 30 s."""
    reflection: bool = False
    """Whether gRPC reflection is on: for development."""
    log_format: LogFormat = "json"
    """`json` or `text`."""
    otlp_endpoint: str | None = setting(default=None, env="OTEL_EXPORTER_OTLP_ENDPOINT")
    """Where telemetry goes. Unset: it stays in the process."""

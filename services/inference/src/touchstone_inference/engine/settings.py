"""The engine's settings: the only place of the engine that reads the environment."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from touchstone_runtime.settings import setting
from touchstone_runtime.telemetry import LogFormat

from touchstone_inference.engine.core.splitting import OnFailure, Role


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
    role: Role = Role.AGGREGATED
    """`aggregated`, or `prefill` and `decode` where the two are apart (VLLM only)."""
    prefill_address: str = ""
    """`HOST:PORT` of the prefill engines, for a decode engine: a name that leads to all of them."""
    min_remote_prompt_tokens: int = setting(default=512, minimum=1, maximum=16_777_216)
    """Prompts with fewer tokens that are not cached are computed by the decode engine itself."""
    prefill_timeout_seconds: float = setting(default=30.0, minimum=0.1, maximum=3600)
    """How long a prefill engine may take for a prompt."""
    on_transfer_failure: OnFailure = OnFailure.RECOMPUTE
    """`RecomputeLocally` or `Fail`: what becomes of a request whose KV blocks do not come."""
    kv_connector: Literal["NixlConnector", "ExampleConnector"] = "NixlConnector"
    """`NixlConnector`, or `ExampleConnector` with `kv_shared_folder`."""
    kv_buffer_device: Literal["cuda", "cpu"] = "cuda"
    """Where the connector keeps blocks: `cuda` or `cpu`."""
    kv_shared_folder: str = ""
    """The folder of ExampleConnector."""
    tensor_parallel_size: int = setting(default=1, minimum=1, maximum=64)
    """Devices that share each layer (VLLM only)."""
    pipeline_parallel_size: int = setting(default=1, minimum=1, maximum=64)
    """Groups of devices that share the layers (VLLM only)."""
    chip: str = ""
    """The accelerator whose peaks utilisation is a share of: `h100-sxm`. Unset: found by the driver's name for it."""
    peak_seconds: float = setting(default=0.0, minimum=0, maximum=600)
    """How long measuring the engine's peak may take once its model is loaded. 0: it is not measured."""
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

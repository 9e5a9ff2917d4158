"""The router's settings: the only place of the router that reads the environment."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from touchstone_runtime.settings import setting
from touchstone_runtime.telemetry import LogFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterSettings:
    """Settings of `python -m touchstone_inference.router`."""

    listen: str = setting(example="127.0.0.1:50051")
    """`HOST:PORT` of the gRPC door. Required."""
    http_listen: str = setting(example="127.0.0.1:8080")
    """`HOST:PORT` of the OpenAI-compatible door. Required."""
    kubeconfig: Path | None = setting(default=None, env="KUBECONFIG")
    """As kubectl. Unset: the pod's service account, else the home folder's."""
    static_view: Path | None = None
    """A JSON list of Kubernetes objects to serve from, in place of a cluster: for benches and trials."""
    auth: Literal["ServiceAccountToken", "None"] = setting(example="ServiceAccountToken")
    """Who may call: ServiceAccountToken asks the API server about each caller, None lets everybody in. Required: that
    a door is open must be said."""
    auth_audience: str = "touchstone.dev"
    """The audience that callers' tokens must be made for."""
    watch_namespace: str = ""
    """The one namespace to watch; empty: all. One needs a Role only, all need a ClusterRole."""
    default_namespace: str = "default"
    """The namespace of a model that is named without one."""
    retrieval_address: str = ""
    """`HOST:PORT` of RetrievalService. Empty: revisions with an index answer UNAVAILABLE."""
    retrieval_timeout_seconds: float = setting(default=10.0, minimum=0.05, maximum=600)
    """Deadline of one search. Embedding a query on a busy CPU takes up to a second; ten is a service that is down."""
    max_deadline_seconds: float = setting(default=600.0, minimum=1, maximum=86400)
    """The longest a request may take, whatever its caller allows."""
    max_concurrent_requests: int = setting(default=256, minimum=1, maximum=65536)
    """Requests under way at each door; more are refused, which is cheaper than to queue them here and in the engine."""
    max_attempts: int = setting(default=3, minimum=1, maximum=16)
    """Replicas that one request tries before its first token."""
    external_api_key: str = setting(default="", secret=True)
    """Bearer token for External engines. Empty: none is sent."""
    drain_delay_seconds: float = setting(default=0.0, minimum=0, maximum=600)
    """From not ready to not listening: what load balancers need to notice. 0 where none is in front."""
    grace_seconds: float = setting(default=30.0, minimum=0, maximum=3600)
    """How long answers under way may go on after a stop."""
    reflection: bool = False
    """Whether gRPC reflection is on: for development."""
    log_content: bool = False
    """Whether prompts and answers may go into traces."""
    log_format: LogFormat = "json"
    """`json` or `text`."""
    otlp_endpoint: str | None = setting(default=None, env="OTEL_EXPORTER_OTLP_ENDPOINT")
    """Where telemetry goes. Unset: it stays in the process."""

"""The operator's settings: the only place of the operator that reads the environment."""

from dataclasses import dataclass
from pathlib import Path

from touchstone_runtime.settings import setting
from touchstone_runtime.telemetry import LogFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorSettings:
    """Settings of `python -m touchstone_operator`."""

    listen: str = setting(example="0.0.0.0:8080")
    """`HOST:PORT` of the health endpoint. Required."""
    evaluation_address: str = setting(example="evaluation:50051")
    """`HOST:PORT` of EvaluationService. Required."""
    retrieval_address: str = setting(example="retrieval:50051")
    """`HOST:PORT` of RetrievalService. Required."""
    data_address: str = setting(example="data:50051")
    """`HOST:PORT` of DataService. Required."""
    finetuning_address: str = setting(example="finetuning:50051")
    """`HOST:PORT` of FinetuningService. Required."""
    inference_address: str = setting(example="router:50051")
    """`HOST:PORT` of the router. Required."""
    routers_address: str = ""
    """`HOST:PORT` of a name that leads to each router: their counters are added up. Unset: `inference_address`."""
    token_file: Path | None = None
    """Holds the ServiceAccount token for the router. Unset: calls carry none."""
    openai_address: str = ""
    """Address of the OpenAI-compatible door, shown in status. Empty: not shown."""
    kubeconfig: Path | None = setting(default=None, env="KUBECONFIG")
    """As kubectl. Unset: the pod's service account."""
    watch_namespace: str = ""
    """The one namespace to watch; empty: all."""
    lease_namespace: str = setting(default="default", env="POD_NAMESPACE")
    """Namespace of the lease: the operator's own."""
    identity: str = setting(default="touchstone-operator", env="POD_NAME")
    """Who holds the lease. A pod's name; a restart in the same pod takes its own lease over at once."""
    engine_image: str = ""
    """Image of engines whose spec names none. Empty: processes run without one, on the embedded platform."""
    vllm_image: str = ""
    """Image of VLLM engines whose spec names none. Empty: each must name one."""
    ray: bool = False
    """Whether KubeRay runs RayServices here: VLLM engines need it."""
    artefacts_uri: str = ""
    """fsspec URI of the artefact store."""
    cache_dir: Path | None = None
    """Folder of downloaded artefacts. Unset: `artefacts_uri` if it is a folder, else below the home folder."""
    plain_http_registries: tuple[str, ...] = ()
    """HOST or HOST:PORT of registries, of oci:// addresses, that speak plain HTTP; passed on to engines."""
    network_policies: bool = False
    """Whether engines get NetworkPolicies, which let in nobody but the router and whom `spec.access` names."""
    engines_share_files: bool = False
    """Whether engines see the operator's file system, and use its store and cache: on the embedded platform."""
    workers: int = setting(default=8, minimum=1, maximum=256)
    """Reconciles at once."""
    resync_seconds: float = setting(default=300.0, minimum=1, maximum=86_400)
    """After this time each object is looked at again although nothing happened."""
    log_format: LogFormat = "json"
    """`json` or `text`; passed on to engines."""
    otlp_endpoint: str | None = setting(default=None, env="OTEL_EXPORTER_OTLP_ENDPOINT")
    """Where telemetry goes; passed on to engines. Unset: it stays in the process."""

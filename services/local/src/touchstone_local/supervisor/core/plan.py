"""The processes of a platform with their environments, in the order of ARCHITECTURE.md. Pure."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from touchstone_local.layout import StateFolder
from touchstone_local.supervisor.core.addresses import Addresses

ENGINE_THREADS = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0", "OMP_NUM_THREADS": "1"}
"""Threads of engines that spin while they wait starve everything else on a small machine."""
MARK = "TOUCHSTONE_PLATFORM"
"""The variable by which a platform's processes are known: the state folder."""
OUR_VARIABLES = ("TOUCHSTONE_", "KUBECONFIG", "OTEL_", "OMP_", "GOMP_", "MALLOC_")
SMALL_HEAP = {"MALLOC_ARENA_MAX": "2"}
"""glibc gives each thread its own heap otherwise, which a dozen Python processes pay for in memory."""


class Check(StrEnum):
    """How one sees that a process is ready."""

    GRPC = "grpc"
    """The health service says SERVING."""
    HTTP = "http"
    """A GET answers."""
    TCP = "tcp"
    """It accepts connections."""
    ALIVE = "alive"
    """It has run for a second: what it serves is a queue, which waits for it."""
    EXIT = "exit"
    """It has ended well: it runs once."""


class Wave(StrEnum):
    """When a process is stopped."""

    CONTROL = "control"
    """First: what would start again what is stopped after it."""
    WORK = "work"
    """Then: with the Pods."""
    GROUND = "ground"
    """Last: what the others stand on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """One process."""

    name: str
    command: tuple[str, ...]
    environ: Mapping[str, str] = field(repr=False)
    after: tuple[str, ...]
    """Names of the processes that must be ready before it starts."""
    check: Check
    target: str
    """What the check asks: `HOST:PORT` or a URL."""
    wave: Wave
    start_timeout_seconds: float = 90.0
    """Generous: a dozen Python processes start at once, on as few as two cores."""

    @property
    def fingerprint(self) -> str:
        """A digest of the command and of the variables that we set; the rest of the environment is the shell's."""
        ours = {name: value for name, value in self.environ.items() if name.startswith(OUR_VARIABLES)}
        content = json.dumps([list(self.command), dict(sorted(ours.items()))])
        return hashlib.sha256(content.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a platform is made of."""

    folder: StateFolder
    addresses: Addresses
    python: str
    """The interpreter of all processes."""
    base_environ: Mapping[str, str]
    """What every process inherits."""
    valkey: str
    """The broker's program."""
    broker_url: str
    external_kubeconfig: Path | None = None
    """A cluster to use in place of the embedded API server and kubelet."""

    @property
    def kubeconfig(self) -> Path:
        """How to reach the API server."""
        return self.external_kubeconfig or self.folder.kubeconfig


def processes(options: Options) -> tuple[ProcessSpec, ...]:
    """Return the platform's processes; one comes after those that it needs."""
    ground: tuple[ProcessSpec, ...] = (_valkey(options), _collector(options))
    if options.external_kubeconfig is None:
        ground = (*ground, _apiserver(options))
    work = (*_retrieval(options), *_evaluation(options), *_data(options), *_finetuning(options), _router(options))
    control = (_operator(options),) if options.external_kubeconfig else (_kubelet(options), _operator(options))
    mark = {MARK: str(options.folder.root)}
    every = (*ground, _crds(options), *work, *control)
    return tuple(replace(spec, environ={**spec.environ, **mark}) for spec in every)


def _service(
    options: Options,
    name: str,
    module: str,
    environ: Mapping[str, str],
    *,
    after: tuple[str, ...],
    check: Check,
    target: str,
    wave: Wave = Wave.WORK,
) -> ProcessSpec:
    telemetry = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{options.addresses.collector}"}
    shared = {**options.base_environ, **ENGINE_THREADS, **SMALL_HEAP, **telemetry}
    return ProcessSpec(
        name=name,
        command=(options.python, "-m", module),
        environ={**shared, **environ},
        after=after,
        check=check,
        target=target,
        wave=wave,
    )


def _valkey(options: Options) -> ProcessSpec:
    return ProcessSpec(
        name="valkey",
        command=(options.valkey, str(options.folder.valkey / "valkey.conf")),
        environ=dict(options.base_environ),
        after=(),
        check=Check.TCP,
        target=options.addresses.broker,
        wave=Wave.GROUND,
    )


def _collector(options: Options) -> ProcessSpec:
    environ = {
        "TOUCHSTONE_LISTEN": options.addresses.collector,
        "TOUCHSTONE_HTTP_LISTEN": options.addresses.traces,
        "OTEL_EXPORTER_OTLP_ENDPOINT": "",
    }
    target = options.addresses.collector
    return _service(
        options, "collector", "touchstone_local.collector", environ, after=(), check=Check.GRPC, target=target,
        wave=Wave.GROUND,
    )  # fmt: skip


def _apiserver(options: Options) -> ProcessSpec:
    environ = {
        "TOUCHSTONE_LISTEN": options.addresses.apiserver,
        "TOUCHSTONE_STATE_DIR": str(options.folder.root),
        "TOUCHSTONE_KUBECONFIG": str(options.folder.kubeconfig),
    }
    target = f"https://{options.addresses.apiserver}/readyz"
    return _service(
        options, "apiserver", "touchstone_local.apiserver", environ, after=(), check=Check.HTTP, target=target,
        wave=Wave.GROUND,
    )  # fmt: skip


def _crds(options: Options) -> ProcessSpec:
    after = () if options.external_kubeconfig else ("apiserver",)
    environ = {"KUBECONFIG": str(options.kubeconfig)}
    return _service(
        options, "crds", "touchstone_local.supervisor.crds", environ, after=after, check=Check.EXIT, target="",
        wave=Wave.CONTROL,
    )  # fmt: skip


def _retrieval(options: Options) -> tuple[ProcessSpec, ProcessSpec]:
    environ = {
        "TOUCHSTONE_INDEX_DIR": str(options.folder.indexes),
        "TOUCHSTONE_ARTEFACTS_URI": options.folder.artefacts.as_uri(),
    }
    return _pair(options, "retrieval", options.addresses.retrieval, both=environ)


def _evaluation(options: Options) -> tuple[ProcessSpec, ProcessSpec]:
    environ = {
        "TOUCHSTONE_ARTEFACTS_URI": options.folder.artefacts.as_uri(),
        "TOUCHSTONE_INFERENCE_ADDRESS": options.addresses.router,
        "TOUCHSTONE_RETRIEVAL_ADDRESS": options.addresses.retrieval,
    }
    working = {"KUBECONFIG": str(options.kubeconfig)}
    return _pair(options, "evaluation", options.addresses.evaluation, both=environ, worker=working)


def _data(options: Options) -> tuple[ProcessSpec, ProcessSpec]:
    artefacts = {"TOUCHSTONE_ARTEFACTS_URI": options.folder.artefacts.as_uri()}
    working = {
        "TOUCHSTONE_WORK_DIR": str(options.folder.pipelines),
        "TOUCHSTONE_INFERENCE_ADDRESS": options.addresses.router,
        "KUBECONFIG": str(options.kubeconfig),
    }
    return _pair(options, "data", options.addresses.data, both=artefacts, worker=working)


def _finetuning(options: Options) -> tuple[ProcessSpec, ProcessSpec]:
    working = {
        "TOUCHSTONE_WORK_DIR": str(options.folder.trainings),
        "TOUCHSTONE_ARTEFACTS_URI": options.folder.artefacts.as_uri(),
        "KUBECONFIG": str(options.kubeconfig),
    }
    return _pair(options, "finetuning", options.addresses.finetuning, worker=working)


def _pair(
    options: Options,
    name: str,
    where: str,
    *,
    both: Mapping[str, str] | None = None,
    worker: Mapping[str, str] | None = None,
) -> tuple[ProcessSpec, ProcessSpec]:
    """Write a service's server and its worker, which share a database and the broker."""
    environ = {
        "TOUCHSTONE_DATABASE_URL": options.folder.database_url(name),
        "TOUCHSTONE_BROKER_URL": options.broker_url,
        **(both or {}),
    }
    serving, working = {**environ, "TOUCHSTONE_LISTEN": where}, {**environ, **(worker or {})}
    module, after = f"touchstone_{name}", ("valkey", "collector")
    return (
        _service(options, name, module, serving, after=after, check=Check.GRPC, target=where),
        _service(
            options, f"{name}-worker", f"{module}.worker", working, after=after, check=Check.ALIVE, target="",
        ),
    )  # fmt: skip


def _router(options: Options) -> ProcessSpec:
    environ = {
        "KUBECONFIG": str(options.kubeconfig),
        "TOUCHSTONE_LISTEN": options.addresses.router,
        "TOUCHSTONE_AUTH": "None",
        "TOUCHSTONE_HTTP_LISTEN": options.addresses.http,
        "TOUCHSTONE_RETRIEVAL_ADDRESS": options.addresses.retrieval,
    }
    target = options.addresses.router
    return _service(
        options, "router", "touchstone_inference.router", environ, after=("crds", "collector"), check=Check.GRPC,
        target=target,
    )  # fmt: skip


def _kubelet(options: Options) -> ProcessSpec:
    environ = {
        "KUBECONFIG": str(options.kubeconfig),
        "TOUCHSTONE_LISTEN": options.addresses.kubelet,
        "TOUCHSTONE_STATE_DIR": str(options.folder.root),
        "TOUCHSTONE_POD_SUBNET": options.addresses.subnet,
    }
    target = options.addresses.kubelet
    return _service(
        options, "kubelet", "touchstone_local.kubelet", environ, after=("apiserver", "collector"), check=Check.GRPC,
        target=target, wave=Wave.CONTROL,
    )  # fmt: skip


def _operator(options: Options) -> ProcessSpec:
    environ = {
        "KUBECONFIG": str(options.kubeconfig),
        "TOUCHSTONE_LISTEN": options.addresses.operator,
        "TOUCHSTONE_RETRIEVAL_ADDRESS": options.addresses.retrieval,
        "TOUCHSTONE_EVALUATION_ADDRESS": options.addresses.evaluation,
        "TOUCHSTONE_DATA_ADDRESS": options.addresses.data,
        "TOUCHSTONE_FINETUNING_ADDRESS": options.addresses.finetuning,
        "TOUCHSTONE_ENGINES_SHARE_FILES": "true",
        "TOUCHSTONE_INFERENCE_ADDRESS": options.addresses.router,
        "TOUCHSTONE_ARTEFACTS_URI": options.folder.artefacts.as_uri(),
    }
    target = f"http://{options.addresses.operator}/healthz"
    return _service(
        options, "operator", "touchstone_operator", environ, after=("crds", "collector"), check=Check.HTTP,
        target=target, wave=Wave.CONTROL,
    )  # fmt: skip

"""The addresses of a platform: one /24 of 127.88.0.0/16. Pure."""

from dataclasses import dataclass

PREFIX = "127.88"
NUMBERS = range(1, 255)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Who listens where."""

    subnet: str
    """The first three numbers: `127.88.4`."""

    @property
    def router(self) -> str:
        """The router's gRPC."""
        return f"{self.subnet}.10:50051"

    @property
    def http(self) -> str:
        """The router's OpenAI-compatible door."""
        return f"{self.subnet}.10:8080"

    @property
    def evaluation(self) -> str:
        """The evaluation service."""
        return f"{self.subnet}.20:50051"

    @property
    def retrieval(self) -> str:
        """The retrieval service."""
        return f"{self.subnet}.30:50051"

    @property
    def data(self) -> str:
        """The data service."""
        return f"{self.subnet}.37:50051"

    @property
    def finetuning(self) -> str:
        """The finetuning service."""
        return f"{self.subnet}.35:50051"

    @property
    def collector(self) -> str:
        """Where telemetry goes: OTLP over gRPC."""
        return f"{self.subnet}.40:4317"

    @property
    def traces(self) -> str:
        """Where telemetry is read: HTTP."""
        return f"{self.subnet}.40:4318"

    @property
    def broker(self) -> str:
        """Valkey."""
        return f"{self.subnet}.50:6379"

    @property
    def apiserver(self) -> str:
        """The embedded Kubernetes API."""
        return f"{self.subnet}.60:6443"

    @property
    def kubelet(self) -> str:
        """The kubelet's health service."""
        return f"{self.subnet}.70:50051"

    @property
    def operator(self) -> str:
        """The operator's health endpoint."""
        return f"{self.subnet}.80:8080"

    def all(self) -> tuple[str, ...]:
        """Return every address that a platform listens on, those of Pods left out."""
        return (
            self.router, self.http, self.evaluation, self.retrieval, self.data, self.finetuning, self.collector,
            self.traces, self.broker, self.apiserver, self.kubelet, self.operator,
        )  # fmt: skip


def split(address: str) -> tuple[str, int]:
    """Return host and port of `HOST:PORT`."""
    host, _, port = address.rpartition(":")
    return host, int(port)

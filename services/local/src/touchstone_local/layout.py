"""The state folder: where each thing of a platform lies. Pure."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class StateFolder:
    """A platform's folder, `.touchstone` unless told otherwise."""

    root: Path

    @property
    def kubeconfig(self) -> Path:
        """How to reach the embedded API server; readable by its owner only."""
        return self.root / "kubeconfig"

    @property
    def platform(self) -> Path:
        """What runs: processes, pids, addresses."""
        return self.root / "platform.json"

    @property
    def lock(self) -> Path:
        """Held by the supervisor."""
        return self.root / "supervisor.lock"

    @property
    def logs(self) -> Path:
        """One log a process."""
        return self.root / "logs"

    @property
    def pods(self) -> Path:
        """Records and logs of Pods."""
        return self.root / "pods"

    @property
    def artefacts(self) -> Path:
        """The artefact store."""
        return self.root / "artefacts"

    @property
    def indexes(self) -> Path:
        """The embedded vector store."""
        return self.root / "indexes"

    @property
    def pipelines(self) -> Path:
        """Shards of pipelines under way."""
        return self.root / "pipelines"

    @property
    def trainings(self) -> Path:
        """Workspaces and checkpoints of trainings."""
        return self.root / "trainings"

    @property
    def pki(self) -> Path:
        """Keys and certificates of the embedded API server."""
        return self.root / "pki"

    @property
    def valkey(self) -> Path:
        """The broker's configuration; holds its password."""
        return self.root / "valkey"

    def log(self, process: str) -> Path:
        """Return the log of a process."""
        return self.logs / f"{process}.log"

    def database_url(self, service: str) -> str:
        """Return the SQLAlchemy URL of a service's database."""
        return f"sqlite:///{self.root / f'{service}.sqlite'}"

    def folders(self) -> tuple[Path, ...]:
        """Return the folders that must exist before anything starts."""
        return (
            self.root,
            self.logs,
            self.pods,
            self.artefacts,
            self.indexes,
            self.pipelines,
            self.trainings,
            self.pki,
            self.valkey,
        )

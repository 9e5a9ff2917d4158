"""What the kubelet needs of the outside."""

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from touchstone_local.fields import Object
from touchstone_local.kubelet.core.launching import Launch
from touchstone_local.kubelet.core.probing import Probe
from touchstone_local.kubelet.core.records import PodRecord, Run


class Pods(Protocol):
    """The cluster, as far as one Pod is concerned."""

    def config_map(self, namespace: str, name: str) -> Object | None:
        """Return a ConfigMap that `fetch` brought."""
        ...

    def secret(self, namespace: str, name: str) -> Object | None:
        """Return a Secret that `fetch` brought."""
        ...

    async def fetch(self, namespace: str, config_maps: frozenset[str], secrets: frozenset[str]) -> None:
        """Read ConfigMaps and Secrets; one that does not exist is remembered as absent."""
        ...

    async def report(self, obj: Object, status: Object) -> Object:
        """Write a Pod's status and return the Pod as it then is."""
        ...

    async def remove(self, pod: Object) -> None:
        """Remove a Pod that has stopped."""
        ...


class Workloads(Protocol):
    """The cluster, as far as controllers are concerned. What was just written is read back."""

    def deployments(self) -> tuple[Object, ...]:
        """Return the Deployments."""
        ...

    def jobs(self) -> tuple[Object, ...]:
        """Return the Jobs."""
        ...

    def pods(self) -> tuple[Object, ...]:
        """Return the Pods."""
        ...

    async def create_pod(self, pod: Object) -> None:
        """Create a Pod."""
        ...

    async def delete_pod(self, pod: Object) -> None:
        """Ask a Pod to go."""
        ...

    async def delete_job(self, job: Object) -> None:
        """Delete a Job with its Pods."""
        ...

    async def report(self, obj: Object, status: Object) -> Object:
        """Write the status of a Deployment or a Job and return it as it then is."""
        ...


class Processes(Protocol):
    """Processes of this machine."""

    def start(self, pod: PodRecord, container: str, launch: Launch) -> Run:
        """Start a container's process.

        Raises:
            CannotStart: It cannot be executed.
        """
        ...

    def is_running(self, run: Run) -> bool:
        """Whether the process still runs."""
        ...

    def exit_code(self, pod: PodRecord, container: str) -> int | None:
        """Return how the container's last process ended; None if nobody knows."""
        ...

    def kill_strays(self, known: Collection[Run]) -> int:
        """Kill what an earlier kubelet started but did not come to record, and return how many there were."""
        ...

    def ask_to_end(self, run: Run) -> None:
        """Send SIGTERM."""
        ...

    def kill(self, run: Run) -> None:
        """Send SIGKILL to all that the container started."""
        ...

    def on_exit(self, run: Run, callback: Callable[[], None]) -> None:
        """Call back when the process ends."""
        ...


class Prober(Protocol):
    """Asks containers how they are."""

    async def probe(self, probe: Probe, *, ip: str, environ: Mapping[str, str]) -> bool:
        """Return whether a container passes; no answer in time is a failure."""
        ...


class Records(Protocol):
    """Records that survive the kubelet."""

    def load(self) -> list[PodRecord]:
        """Return all records."""
        ...

    def save(self, record: PodRecord) -> None:
        """Write a record at once."""
        ...

    def forget(self, record: PodRecord) -> None:
        """Drop a record; logs are kept for a while."""
        ...

"""What every command knows: the state folder, the cluster, the namespace. Reads no files until asked."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from touchstone_local.kube.cluster import Cluster
    from touchstone_local.layout import StateFolder
    from touchstone_local.supervisor.core.addresses import Addresses

T = TypeVar("T")
Command = Callable[..., None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What the options before the command say."""

    state_dir: Path
    """The platform's state folder."""
    kubeconfig: Path | None
    """A cluster other than the platform's."""

    @property
    def folder(self) -> "StateFolder":
        """The state folder's layout."""
        from touchstone_local import platform  # noqa: PLC0415

        return platform.folder(self.state_dir)

    def addresses(self) -> "Addresses":
        """Return the addresses of the platform that runs.

        Raises:
            PlatformNotRunning: None does.
        """
        from touchstone_local import platform  # noqa: PLC0415

        return platform.addresses(self.state_dir)

    async def connect(self) -> "Cluster":
        """Open the cluster: the one given, or the platform's. Never kubectl's default, which may be anybody's.

        Raises:
            PlatformNotRunning: There is no platform, and no cluster was given.
            ClusterUnavailable: The kubeconfig cannot be used.
        """
        from touchstone_local.errors import PlatformNotRunning  # noqa: PLC0415
        from touchstone_local.kube.cluster import Cluster  # noqa: PLC0415
        from touchstone_local.supervisor.adapters import board  # noqa: PLC0415

        if self.kubeconfig is not None:
            return await Cluster.connect(self.kubeconfig)
        state = board.read(self.folder.platform)
        if state is None:
            raise PlatformNotRunning(str(self.folder.root))
        return await Cluster.connect(state.kubeconfig)


def session_options(command: Command) -> Command:
    """Add the options that every command has."""

    @click.option(
        "--state-dir",
        envvar="TOUCHSTONE_STATE_DIR",
        default=".touchstone",
        show_default=True,
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder of the platform's state.",
    )
    @click.option(
        "--kubeconfig",
        default=None,
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Use this cluster in place of the embedded one.",
    )
    @functools.wraps(command)
    def with_session(*arguments: object, state_dir: Path, kubeconfig: Path | None, **options: object) -> None:
        command(*arguments, session=Session(state_dir=state_dir, kubeconfig=kubeconfig), **options)

    return with_session


namespace_option = click.option("-n", "--namespace", default="default", show_default=True, help="Namespace.")


def run(work: Coroutine[object, object, T]) -> T:
    """Run a command's coroutine."""
    return asyncio.run(work)

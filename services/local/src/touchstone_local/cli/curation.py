"""What the commands of the data flywheel share: their options, and asking the data service."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from touchstone_local.cli.context import Session, run

if TYPE_CHECKING:
    from touchstone_local.curating import Client

SIGNALS = ("thumb-up", "thumb-down", "edit", "correction", "comment")

address_option = click.option(
    "--address",
    envvar="TOUCHSTONE_DATA_ADDRESS",
    default="",
    help="HOST:PORT of the data service; default: the platform's.",
)
revision_option = click.option("--revision", default="", help="Digest of the revision that answered, sha256:…")
kinds_option = click.option("--kind", "kinds", type=click.Choice(SIGNALS), multiple=True, help="Only this; repeatable.")


def address_of(session: Session, address: str) -> str:
    """Return the address that was given, else the platform's. Raises PlatformNotRunning."""
    return address or session.addresses().data


def show(renderable: object) -> None:
    """Print what rich renders."""
    from rich.console import Console  # noqa: PLC0415

    Console(highlight=False).print(renderable)


def ask(session: Session, address: str, method: "Callable[[Client], Any]", request: object) -> Any:
    """Call the data service once. Raises what it answers."""
    from touchstone_local import curating  # noqa: PLC0415

    async def call() -> Any:
        async with curating.connected(address_of(session, address)) as client:
            return await curating.answer(method(client)(request, timeout=curating.LONG_SECONDS))

    return run(call())

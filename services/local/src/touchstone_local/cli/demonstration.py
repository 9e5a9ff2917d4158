"""The command `demo`."""

from pathlib import Path

import click

from touchstone_local.cli.context import Session, run

PIPED_WIDTH = 132


@click.command()
@click.option("--keep", is_flag=True, help="Leave the platform running at the end.")
@click.option(
    "--example",
    default=Path("examples/support-assistant"),
    show_default=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the example.",
)
@click.pass_obj
def demo(session: Session, *, keep: bool, example: Path) -> None:
    """Run the whole loop: fetch, start, apply step by step, ask, trace, stop."""
    from rich.console import Console  # noqa: PLC0415 (the start of every command must be quick)

    from touchstone_local.demo import telling  # noqa: PLC0415

    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPED_WIDTH)  # without a terminal there is no width to fit, and tables need theirs
    run(telling.tell(session.state_dir, example, keep=keep, console=console))


COMMANDS = (demo,)

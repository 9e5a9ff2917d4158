"""The command group, and how errors come out: one sentence, what to do, no traceback."""

import sys

import click

from touchstone_local.cli import (
    demonstration,
    evaluations,
    feedback,
    models,
    objects,
    planning,
    platforms,
    queues,
    telemetry,
)
from touchstone_local.cli.context import Session, session_options

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="touchstone-local", prog_name="touchstone")
@session_options
@click.pass_context
def touchstone(context: click.Context, session: Session) -> None:
    """Foundation models as a product: traffic moves only on evidence."""
    context.obj = session


for command in (
    *platforms.COMMANDS,
    *objects.COMMANDS,
    *models.COMMANDS,
    *evaluations.COMMANDS,
    *feedback.COMMANDS,
    *queues.COMMANDS,
    *telemetry.COMMANDS,
    *planning.COMMANDS,
    *demonstration.COMMANDS,
):
    touchstone.add_command(command)


def main() -> None:
    """Run the command line and exit: 0 all went well, 1 it did not, 2 the call was wrong."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    from touchstone_runtime.errors import DomainError, Kind  # noqa: PLC0415 (the start of every command must be quick)

    try:
        touchstone.main(arguments, prog_name="touchstone", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except click.exceptions.Exit as error:
        return error.exit_code
    except BrokenPipeError:
        sys.stderr.close()  # whoever read the output has seen enough; Python would complain at the end
        return 0
    except DomainError as error:
        _complain(error)
        return EXIT_USAGE if error.kind is Kind.INVALID else EXIT_FAILURE
    return 0


def _complain(error: Exception) -> None:
    """Say what went wrong: the sentence, the faults of fields, the end of a log."""
    from touchstone_runtime.errors import Invalid  # noqa: PLC0415

    from touchstone_local.errors import StartFailed  # noqa: PLC0415

    click.secho(f"Error: {error}", fg="red", err=True)
    if isinstance(error, Invalid) and error.message != "; ".join(str(error).splitlines()):
        for violation in error.violations:
            if violation.description not in error.message:
                click.echo(f"  {violation.field}: {violation.description}", err=True)
    if isinstance(error, StartFailed) and error.log_tail:
        click.echo(f"\nThe end of its log:\n{error.log_tail}", err=True)

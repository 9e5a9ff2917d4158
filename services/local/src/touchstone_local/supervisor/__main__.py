"""Runs the supervisor in the foreground: `python -m touchstone_local.supervisor`. `touchstone up` starts it."""

from touchstone_runtime import process, settings, telemetry

from touchstone_local.lifetime import until_stopped
from touchstone_local.supervisor import wiring
from touchstone_local.supervisor.settings import SupervisorSettings


async def main() -> None:
    """Run until a signal."""
    loaded = settings.load(SupervisorSettings)
    telemetry.setup("touchstone-supervisor", endpoint=None, log_format="json" if loaded.log_as_json else "text")
    await until_stopped(wiring.run(loaded))


if __name__ == "__main__":
    process.run_main(main)

"""Runs the collector: `python -m touchstone_local.collector`."""

from touchstone_runtime import process, settings, telemetry

from touchstone_local.collector import wiring
from touchstone_local.collector.settings import CollectorSettings
from touchstone_local.lifetime import until_stopped


async def main() -> None:
    """Run until a signal."""
    loaded = settings.load(CollectorSettings)
    telemetry.setup("touchstone-collector", endpoint=None, log_format="json" if loaded.log_as_json else "text")
    await until_stopped(wiring.run(loaded))


if __name__ == "__main__":
    process.run_main(main)

"""Runs the API server: `python -m touchstone_local.apiserver`."""

from touchstone_runtime import process, settings, telemetry

from touchstone_local.apiserver import wiring
from touchstone_local.apiserver.settings import ApiServerSettings
from touchstone_local.lifetime import until_stopped


async def main() -> None:
    """Run until a signal."""
    loaded = settings.load(ApiServerSettings)
    telemetry.setup("touchstone-apiserver", endpoint=None, log_format="json" if loaded.log_as_json else "text")
    await until_stopped(wiring.run(loaded))


if __name__ == "__main__":
    process.run_main(main)

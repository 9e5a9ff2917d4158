"""Runs the kubelet: `python -m touchstone_local.kubelet`."""

from touchstone_runtime import process, settings, telemetry

from touchstone_local.kubelet import wiring
from touchstone_local.kubelet.settings import KubeletSettings
from touchstone_local.lifetime import until_stopped


async def main() -> None:
    """Run until a signal."""
    loaded = settings.load(KubeletSettings)
    telemetry.setup("touchstone-kubelet", endpoint=None, log_format="json" if loaded.log_as_json else "text")
    await until_stopped(wiring.run(loaded))


if __name__ == "__main__":
    process.run_main(main)

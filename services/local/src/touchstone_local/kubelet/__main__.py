"""Runs the kubelet: `python -m touchstone_local.kubelet`."""

import sys

from touchstone_runtime import process, settings

from touchstone_local.kubelet import wiring
from touchstone_local.kubelet.settings import KubeletSettings


async def main() -> None:
    """Run until a signal."""
    await wiring.run(settings.load(KubeletSettings))


if __name__ == "__main__":
    sys.exit(process.run_main(main))

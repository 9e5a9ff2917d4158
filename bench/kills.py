"""The demo's steps a to e while every process of the platform is killed once, in turn, during step c.

Run by `python bench/kills.py`; it prints what was killed and what came of each step, and fails when an outcome
differs from the undisturbed demo's.
"""

import asyncio
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from touchstone_local import fields, platform
from touchstone_local.demo import Seen, Step, walk
from touchstone_local.kube.cluster import Cluster

EXAMPLE = Path(__file__).parents[1] / "examples" / "support-assistant"
CACHE = Path(os.environ.get("TOUCHSTONE_TEST_CACHE_DIR", "~/.cache/touchstone/artefacts")).expanduser()
PAUSE_SECONDS = 4.0
UNDISTURBED = {"a": "Passed", "b": "Passed", "c": "Passed", "d": "Failed", "e": "Passed"}


async def kill_in_turn(folder: Path) -> None:
    """Kill each process that the supervisor runs, with a pause between them."""
    names = [process.name for process in platform.read(folder).processes if process.pid]
    for name in names:
        await asyncio.sleep(PAUSE_SECONDS)
        process = next(p for p in platform.read(folder).processes if p.name == name)
        os.kill(process.pid, signal.SIGKILL)
        print(f"    killed {name}", flush=True)


async def main() -> int:
    """Walk the demo and kill during step c."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "state"
        (folder / "artefacts").mkdir(parents=True)
        CACHE.mkdir(parents=True, exist_ok=True)
        (folder / "artefacts" / "artefacts").symlink_to(CACHE)
        state = await platform.start(folder)
        try:
            return await _walk(folder, Path(state.kubeconfig))
        finally:
            await platform.stop(folder)


async def _walk(folder: Path, kubeconfig: Path) -> int:
    killing: list[asyncio.Task[None]] = []

    def begin(step: Step, _: str) -> None:
        print(f"{step.letter} {step.title}", flush=True)
        if step.letter == "c":
            killing.append(asyncio.create_task(kill_in_turn(folder)))

    outcomes: dict[str, str] = {}
    began = time.monotonic()
    async with await Cluster.connect(kubeconfig) as cluster:
        async for seen in walk(cluster, EXAMPLE, kubeconfig, on_begin=begin):
            outcomes[seen.step.letter] = _outcome(seen)
            print(f"  {outcomes[seen.step.letter]} after {seen.seconds:.1f} s; {seen.serving} serves", flush=True)
            if seen.step.letter == "c":
                await asyncio.gather(*killing)
    relation = "equal to" if outcomes == UNDISTURBED else "DIFFERENT from"
    print(f"{relation} the undisturbed demo, {time.monotonic() - began:.0f} s")
    return 0 if outcomes == UNDISTURBED else 1


def _outcome(seen: Seen) -> str:
    return fields.text(seen.gate, "status", "verdict")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

"""How fast the operator sees new objects: 500 EvalRuns made at once, until each has its first status.

Run by `python bench/reconcile.py`. The peer in the same run is the API server alone: the same objects made and read
back without an operator's part, so the ratio is what Kopf, the queue and the reconciles add.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from touchstone_local import fields, platform
from touchstone_local.kube.cluster import Cluster
from touchstone_local.kube.resources import EVAL_RUNS

COUNT = 500
AT_ONCE = 16


def evalrun(number: int) -> dict[str, Any]:
    """An EvalRun of a deployment that does not exist: it waits, and says so."""
    criterion = {"name": "floor", "metric": "s/contains", "absolute": {"operator": "GreaterOrEqual", "value": "0.5"}}
    return {
        "apiVersion": "touchstone.dev/v1alpha1",
        "kind": "EvalRun",
        "metadata": {"name": f"run-{number:04}"},
        "spec": {
            "subject": {"type": "ModelDeployment", "modelDeploymentRef": {"name": "absent"}},
            "suites": [{"name": "s", "task": "question-answering", "dataset": {"uri": "file:///items.jsonl"}}],
            "criteria": [criterion],
        },
    }


async def main() -> int:
    """Make the objects and wait for their statuses."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "state"
        state = await platform.start(folder)
        try:
            async with await Cluster.connect(state.kubeconfig) as cluster:
                await _measure(cluster)
        finally:
            await platform.stop(folder)
    return 0


async def _measure(cluster: Cluster) -> None:
    limit = asyncio.Semaphore(AT_ONCE)

    async def make(number: int) -> None:
        async with limit:
            await cluster.create(EVAL_RUNS, evalrun(number), namespace="default")

    began = time.monotonic()
    await asyncio.gather(*(make(number) for number in range(COUNT)))
    made = time.monotonic() - began
    while True:
        found = (await cluster.list(EVAL_RUNS, namespace="default")).items
        seen = sum(1 for obj in found if fields.items(obj, "status", "conditions"))
        if seen == COUNT:
            break
        await asyncio.sleep(0.2)
    whole = time.monotonic() - began
    print(f"{COUNT} made in {made:.1f} s ({COUNT / made:.0f}/s); all had a status after {whole:.1f} s "
          f"({COUNT / whole:.0f}/s): {whole / made:.2f} x the making alone")  # fmt: skip


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

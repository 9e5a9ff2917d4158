"""`python peak_memory.py WORKSPACE [roomy]`: what a run of the workspace's recipe took at its peak, beside its libraries.

It may have what the estimate says, or as much as it likes.

A program of its own: the peak of a process is that of all that it ever did.
"""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import psutil
from touchstone_finetuning.core import outcome, recipe
from touchstone_finetuning.core.recipe import Recipe
from touchstone_finetuning.training.__main__ import ENVIRONMENT

os.environ.update(ENVIRONMENT)


def main(workspace: Path, *, is_roomy: bool) -> None:
    """Run, and tell the peak and the estimate in bytes."""
    from touchstone_finetuning.training import bases, memory, running  # noqa: PLC0415 - read the environment
    from touchstone_finetuning.training.events import EventLog  # noqa: PLC0415
    from touchstone_finetuning.training.stopping import Preemption  # noqa: PLC0415

    asked = recipe.read((workspace / outcome.RECIPE).read_text())
    assert isinstance(asked, Recipe)
    estimate = memory.estimate(
        asked, bases.load_config(Path(asked.base)), longest=asked.hyperparameters.max_sequence_length
    )
    assert estimate is not None
    libraries = psutil.Process().memory_info().rss
    with EventLog(workspace) as log:
        result = running.run(asked if is_roomy else replace(asked, memory_bytes=estimate.total), log, Preemption())
    assert result is not None
    told = {"estimate": estimate.total, "with_holes": estimate.with_holes, "metrics": dict(result.metrics)}
    print(json.dumps({"peak": result.peak_memory_bytes - libraries, **told}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), is_roomy="roomy" in sys.argv[2:])

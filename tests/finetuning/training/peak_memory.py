"""`python peak_memory.py WORKSPACE`: what a run of the workspace's recipe needed at its peak, beside its libraries.

A program of its own: the peak of a process is that of all that it ever did.
"""

import json
import os
import sys
from pathlib import Path

import psutil
from touchstone_finetuning.core import outcome, recipe
from touchstone_finetuning.core.recipe import Recipe
from touchstone_finetuning.training.__main__ import ENVIRONMENT

os.environ.update(ENVIRONMENT)


def main(workspace: Path) -> None:
    """Run, and tell the peak and the estimate in bytes."""
    from touchstone_finetuning.training import bases, memory, running  # noqa: PLC0415 - read the environment
    from touchstone_finetuning.training.events import EventLog  # noqa: PLC0415
    from touchstone_finetuning.training.stopping import Preemption  # noqa: PLC0415

    asked = recipe.read((workspace / outcome.RECIPE).read_text())
    assert isinstance(asked, Recipe)
    estimate = memory.estimate(asked, bases.load_config(Path(asked.base)))
    assert estimate is not None
    libraries = psutil.Process().memory_info().rss
    with EventLog(workspace) as log:
        result = running.run(asked, log, Preemption())
    assert result is not None
    print(json.dumps({"peak": result.peak_memory_bytes - libraries, "estimate": estimate.total}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

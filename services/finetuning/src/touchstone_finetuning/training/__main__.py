"""`python -m touchstone_finetuning.training WORKSPACE`: reads recipe.json there, leaves result.json or fault.json.

With `--leashed` it ends when its standard input does; with `--leash-seconds=N`, with a checkpoint, when nobody has
touched the workspace's leash for so long.
"""

import importlib.util
import logging
import os
import sys
from pathlib import Path

from touchstone_runtime.durable import write_text

from touchstone_finetuning.core import codec, outcome, recipe, validation
from touchstone_finetuning.training import faults, leash, merge
from touchstone_finetuning.training.events import EventLog
from touchstone_finetuning.training.stopping import Preemption

ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    "GOMP_SPINCOUNT": "30000",
}
"""Read when the libraries are loaded: no network, no telemetry, the same sums on a GPU in every run, and threads that
wait awake for an instant only: on cores that others use too, those that stay awake are several times slower, and those
that sleep at once are a tenth slower where nobody else is."""

NO_TORCH = (
    f"{sys.executable} has no torch. Install touchstone-finetuning[train] there, set TOUCHSTONE_TRAINER_PYTHON to an "
    "interpreter that has it, or, on a cluster, images.trainer of the chart to the image that has it."
)

logger = logging.getLogger("touchstone_finetuning.training")


def main(workspace: Path) -> int:
    """Run what the workspace's recipe says; returns the exit code."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    os.environ.update(ENVIRONMENT)
    for name in (outcome.RESULT, outcome.FAULT):
        (workspace / name).unlink(missing_ok=True)
    try:
        asked = recipe.read((workspace / outcome.RECIPE).read_text(encoding="utf-8"))
        found = [f"{fault.field}: {fault.description}" for fault in validation.faults(asked)]
    except (OSError, ValueError) as error:
        found = [str(error)]
    if found:
        return _fail(workspace, outcome.Fault(reason=outcome.Reason.RECIPE_INVALID, message=" ".join(found)))
    if isinstance(asked, recipe.Recipe) and importlib.util.find_spec("torch") is None:
        return _fail(workspace, outcome.Fault(reason=outcome.Reason.TRAINER_MISSING, message=NO_TORCH))
    return _run(workspace, asked)


def _run(workspace: Path, asked: recipe.Recipe | recipe.MergeRecipe) -> int:
    preemption = Preemption()
    try:
        with EventLog(workspace) as log:
            if isinstance(asked, recipe.MergeRecipe):
                result: outcome.Result | None = merge.run(asked)
            else:
                # Half a minute of imports: not before the recipe is known to be good, and not for a merge.
                from touchstone_finetuning.training import running  # noqa: PLC0415

                result = running.run(asked, log, preemption)
            if result is None:
                return outcome.EXIT_PREEMPTED
            write_text(workspace / outcome.RESULT, codec.to_json(result))
    except Exception as error:  # the edge of the process: whatever it was, the service is told
        logger.exception("the run failed")
        return _fail(workspace, faults.explain(error))
    return outcome.EXIT_DONE


def _fail(workspace: Path, fault: outcome.Fault) -> int:
    logger.error("%s: %s", fault.reason, fault.message)
    write_text(workspace / outcome.FAULT, codec.to_json(fault))
    return outcome.EXIT_FAULT


if __name__ == "__main__":
    *options, workspace = sys.argv[1:]
    if leash.OPTION in options:
        leash.hold()
    for seconds in (each.removeprefix(f"{outcome.LEASH_OPTION}=") for each in options if "=" in each):
        leash.watch(Path(workspace) / outcome.LEASH, float(seconds))
    sys.exit(main(Path(workspace)))

"""A trainer without weights, run as the real one is: it speaks the same files, signals and exit codes.

What it does stands in the base file, one word a line: `steps 3`, `wait`, `until FILE`, `fault DatasetInvalid`, `die`.
Two at once on one workspace are told by a fault.
"""

import fcntl
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from touchstone_finetuning.training import leash


def main() -> int:  # noqa: PLR0912 - a branch for each word
    *options, workspace = sys.argv[1:]
    folder = Path(workspace)
    recipe = json.loads((folder / "recipe.json").read_text())
    if recipe["method"] == "Merge":
        return merged(folder, recipe)
    if options and "=" in options[0]:
        leash.watch(folder / "leash", float(options[0].partition("=")[2]))
    else:
        threading.Thread(target=lambda: (sys.stdin.read(), os._exit(1)), daemon=True).start()
    at_work = (folder / "at-work").open("a")
    try:
        fcntl.flock(at_work, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return faulty(folder, "RecipeInvalid", "Another trainer is at work here.")
    asked = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked.set())
    checkpoint = Path(recipe["checkpoint"]["folder"]) / "step"
    step = int(checkpoint.read_text()) if checkpoint.exists() else 0
    resumed_from = step

    def tell(**event: object) -> None:
        with (folder / "events.jsonl").open("a") as file:
            file.write(json.dumps(event) + "\n")

    tell(kind="note", message=f"Begins at step {step}.")
    for word, *rest in (line.split() for line in Path(recipe["base"]).read_text().splitlines()):
        match word:
            case "steps":
                while step < int(rest[0]):
                    step += 1
                    checkpoint.parent.mkdir(parents=True, exist_ok=True)
                    checkpoint.write_text(str(step))
                    tell(kind="progress", step=step, total_steps=int(rest[0]), epoch=step / 10, time=time.time())
                    tell(kind="metric", name="train_loss", value=1 / step, step=step)
                    tell(kind="checkpoint", step=step, folder=str(checkpoint.parent))
            case "wait" if not resumed_from:
                asked.wait()
                return 75
            case "until":
                while not Path(rest[0]).exists():
                    if asked.wait(0.05):
                        return 75
            case "fault":
                return faulty(folder, rest[0], "So it is.")
            case "die" if not resumed_from:
                os.kill(os.getpid(), signal.SIGKILL)
    return done(folder, recipe, "weights", type="LoRAAdapter", rank=recipe["adapter"]["rank"], steps=step)


def faulty(folder: Path, reason: str, message: str) -> int:
    (folder / "fault.json").write_text(json.dumps({"reason": reason, "message": message}))
    return 1


def merged(folder: Path, recipe: dict[str, Any]) -> int:
    """Put what the models hold after each other, with their weights."""
    parts = [f"{model['weight']} of {Path(model['path']).read_text()}" for model in recipe["models"]]
    return done(folder, recipe, f"{recipe['type']}: {', '.join(parts)}", type="Model", rank=None, steps=0)


def done(folder: Path, recipe: dict[str, Any], weights: str, **result: object) -> int:
    output = Path(recipe["output"])
    output.mkdir(exist_ok=True)
    (output / "model.safetensors").write_text(weights)
    (output / "lineage.json").write_text(json.dumps(recipe["lineage"]))
    measured = {"metrics": {}, "resumed_from_step": 0, "peak_memory_bytes": 0, "tokens_trained": 0}
    (folder / "result.json").write_text(json.dumps({"folder": str(output), "size_bytes": 7, **measured, **result}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

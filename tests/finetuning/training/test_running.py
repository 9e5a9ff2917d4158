"""Runs of the program, from the recipe to the artefact."""

import contextlib
import json
import random
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file
from touchstone_finetuning.core import outcome
from touchstone_finetuning.core.outcome import ArtifactType, Reason
from touchstone_finetuning.core.recipe import Adapter, Format

from .conftest import Making, Workspace, tickets

pytestmark = pytest.mark.timeout(600)  # several processes to a test, each of which loads torch

LORA = Adapter(rank=4, alpha=8.0, dropout=0.1)
LONG = {"max_steps": 14, "gradient_accumulation": 2}


@pytest.fixture(scope="module")
def tuned(make: Making, gguf_base: Path) -> Workspace:
    """SmolLM2 that has learnt the form of answers to tickets."""
    workspace = make(
        gguf_base, tickets(16), held_out=tickets(20)[16:], adapter=LORA, numbers={"max_steps": 8, "learning_rate": 3e-3},
        lineage={"base": "sha256:b179", "data": "sha256:da7a"}, interval_steps=3,
    )  # fmt: skip
    workspace.run()
    return workspace


def test_it_learns_and_tells_every_step(tuned: Workspace) -> None:
    steps = tuned.told("progress")
    assert [event["step"] for event in steps] == list(range(1, 9))
    assert {event["total_steps"] for event in steps} == {8}
    losses = tuned.values("train_loss")
    assert len(losses) == 8
    assert losses[-1] < losses[0] / 2
    assert tuned.values("eval_loss")[-1] < losses[0] / 2
    assert len(tuned.values("learning_rate")) == len(tuned.values("grad_norm")) == 8


def test_its_result_says_what_it_made(tuned: Workspace) -> None:
    result = tuned.result
    assert result.folder == str(tuned.output)
    assert (result.type, result.rank, result.steps, result.resumed_from_step) == (ArtifactType.LORA_ADAPTER, 4, 8, 0)
    assert result.size_bytes == sum(path.stat().st_size for path in tuned.output.iterdir())
    assert result.metrics["train_loss"] == tuned.values("train_loss")[-1]
    assert result.tokens_trained > 8 * 2 * 20
    assert not (tuned.folder / outcome.FAULT).exists()


def test_it_keeps_the_newest_checkpoints(tuned: Workspace) -> None:
    told = tuned.told("checkpoint")
    assert [event["step"] for event in told] == [3, 6, 8]
    kept = sorted(Path(tuned.recipe.checkpoint.folder).glob("step-*"))
    assert [str(folder) for folder in kept] == [event["folder"] for event in told[-2:]]


def test_its_output_is_whole_and_says_of_what_it_was_made(tuned: Workspace) -> None:
    names = {path.name for path in tuned.output.iterdir()}
    assert names == {"README.md", "adapter.gguf", "adapter_config.json", "adapter_model.safetensors", "lineage.json"}
    assert json.loads((tuned.output / "lineage.json").read_text()) == tuned.recipe.lineage
    card = (tuned.output / "README.md").read_text()
    for said in (
        "sha256:b179",
        "sha256:da7a",
        "train.jsonl",
        "| learning_rate | 0.003 |",
        "| rank | 4 |",
        "train_loss",
    ):
        assert said in card
    assert str(tuned.folder) not in card + (tuned.output / "adapter_config.json").read_text()


@pytest.fixture(scope="module")
def uninterrupted(make: Making, tiny_base: Path) -> Workspace:
    """A run with all that is by chance: dropout, the order of data, two epochs."""
    workspace = make(tiny_base, tickets(12), adapter=LORA, numbers=LONG, interval_steps=2)
    workspace.run()
    return workspace


def again(workspace: Workspace, folder: Path) -> Workspace:
    """The same run in another place."""
    checkpoint = replace(workspace.recipe.checkpoint, folder=str(folder / "checkpoints"))
    return Workspace(folder, replace(workspace.recipe, checkpoint=checkpoint, output=str(folder / "output")))


def weights(workspace: Workspace) -> dict[str, bytes]:
    file = workspace.output / "adapter_model.safetensors"
    return {name: values.tobytes() for name, values in load_file(file).items()}


def stop_at(workspace: Workspace, step: int, number: signal.Signals) -> int:
    """Start the program and send a signal once it has done a step; returns the exit code."""
    program = workspace.start()
    events = workspace.folder / outcome.EVENTS
    while not (events.exists() and f'"step": {step},' in events.read_text()):
        with contextlib.suppress(subprocess.TimeoutExpired):
            program.wait(0.05)
            pytest.fail(f"it ended before step {step}: {program.stderr and program.stderr.read()}")
    program.send_signal(number)
    program.communicate()
    return program.returncode


def test_a_killed_run_goes_on_and_ends_with_the_same_bits(uninterrupted: Workspace, tmp_path: Path) -> None:
    killed = again(uninterrupted, tmp_path)
    step = random.SystemRandom().randint(1, 10)
    assert stop_at(killed, step, signal.SIGKILL) == -signal.SIGKILL
    assert not killed.output.exists()
    killed.run()
    assert killed.result.resumed_from_step >= step - step % 2 - 2
    assert killed.result.tokens_trained == uninterrupted.result.tokens_trained
    assert killed.result.metrics == uninterrupted.result.metrics
    assert weights(killed) == weights(uninterrupted), f"killed after step {step}"


def test_a_run_told_to_stop_leaves_a_checkpoint_of_its_last_step(uninterrupted: Workspace, tmp_path: Path) -> None:
    stopped = again(uninterrupted, tmp_path)
    stopped = replace(
        stopped, recipe=replace(stopped.recipe, checkpoint=replace(stopped.recipe.checkpoint, interval_steps=1000))
    )
    assert stop_at(stopped, 3, signal.SIGTERM) == outcome.EXIT_PREEMPTED
    assert not (stopped.folder / outcome.FAULT).exists()
    last = stopped.told("progress")[-1]["step"]
    stopped.run()
    assert stopped.result.resumed_from_step == last
    assert weights(stopped) == weights(uninterrupted)


def test_a_broken_checkpoint_is_passed_over(uninterrupted: Workspace) -> None:
    newest, before = sorted(Path(uninterrupted.recipe.checkpoint.folder).glob("step-*"), reverse=True)
    optimizer = newest / "optimizer.pt"
    optimizer.write_bytes(optimizer.read_bytes()[:-100])
    expected = weights(uninterrupted)
    uninterrupted.run()
    assert f"{newest.name} is not used: optimizer.pt" in uninterrupted.notes
    assert uninterrupted.result.resumed_from_step == int(before.name.removeprefix("step-"))
    assert weights(uninterrupted) == expected


def unfit(workspace: Workspace, **options: Any) -> outcome.Fault:
    workspace.run(exits=outcome.EXIT_FAULT, **options)
    assert not (workspace.folder / outcome.RESULT).exists()
    assert not workspace.output.exists()
    return workspace.fault


def test_a_recipe_that_is_none_is_refused_before_anything_is_loaded(make: Making, tiny_base: Path) -> None:
    fault = unfit(make(tiny_base, tickets(2), format=Format.TEXT, threads=0))
    assert fault.reason is Reason.RECIPE_INVALID
    assert fault.message.startswith("threads: Must be at least 1")


def limit_files() -> None:
    """Run in the child: no file may grow over 100 KB, as on a disk that is full."""
    import resource  # noqa: PLC0415

    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))


def test_a_full_disk_is_told_and_costs_nothing_but_time(make: Making, tiny_base: Path) -> None:
    full = make(tiny_base, tickets(4), adapter=LORA, numbers={"max_steps": 3})
    fault = unfit(full, preexec_fn=limit_files)
    assert fault.reason is Reason.DISK_FULL
    assert "Free space" in fault.message
    full.run()
    assert full.result.steps == 3

"""The estimate of memory, against what runs need."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from touchstone_finetuning.core.outcome import Reason
from touchstone_finetuning.core.recipe import Adapter, Format
from touchstone_finetuning.training import bases, memory, running
from touchstone_finetuning.training.events import EventLog
from touchstone_finetuning.training.faults import TrainingFault
from touchstone_finetuning.training.stopping import Preemption
from transformers import GPT2Config, LlamaConfig, LlamaForCausalLM

from .conftest import Making, Workspace, tickets

LORA = Adapter(rank=8)
TEXT = [{"text": "gold and lead and salt " * 200}] * 4

pytestmark = pytest.mark.timeout(600)  # models are loaded and trained, on cores that others use too


@pytest.fixture(scope="module")
def folders(tokenizer: Any, smollm: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """SmolLM2-135M, and a llama of 31 million random weights."""
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=384, intermediate_size=1024, num_hidden_layers=8, num_attention_heads=6,
        num_key_value_heads=2, tie_word_embeddings=True, bos_token_id=1, eos_token_id=2, pad_token_id=2,
    )  # fmt: skip
    root = tmp_path_factory.mktemp("models")
    for name, model in (("31M", LlamaForCausalLM(config)), ("135M", smollm)):
        model.save_pretrained(root / name)
        tokenizer.save_pretrained(root / name)
    return {name: root / name for name in ("31M", "135M")}


@pytest.mark.parametrize(
    ("model", "adapter", "length"),
    [
        ("31M", LORA, 256),
        ("31M", Adapter(rank=8, dropout=0.1), 256),
        ("31M", None, 256),
        ("135M", LORA, 128),
        ("135M", None, 128),
    ],
    ids=["31M adapter", "31M adapter with dropout", "31M all weights", "135M adapter", "135M all weights"],
)
def test_the_estimate_is_within_a_tenth_of_what_a_run_needs(
    make: Making, folders: dict[str, Path], model: str, adapter: Adapter | None, length: int
) -> None:
    workspace = make(
        folders[model],
        TEXT,
        format=Format.TEXT,
        adapter=adapter,
        numbers={"max_steps": 2, "max_sequence_length": length},
    )
    measured = peak(workspace)
    assert measured["estimate"] == pytest.approx(measured["peak"], rel=0.1), measured


def test_a_run_with_room_takes_no_more_than_the_bound_and_learns_the_same(
    make: Making, folders: dict[str, Path]
) -> None:
    numbers = {"max_steps": 2, "max_sequence_length": 256, "batch_size": 4}
    tight, roomy = (make(folders["31M"], TEXT, format=Format.TEXT, adapter=LORA, numbers=numbers) for _ in range(2))
    least, most = peak(tight), peak(roomy, "roomy")
    assert least["peak"] < most["peak"] < most["with_holes"] * 1.05, (least, most)
    assert most["metrics"]["train_loss"] == least["metrics"]["train_loss"]


def test_what_counts_is_the_longest_record_and_not_what_would_be_allowed(make: Making, tiny_base: Path) -> None:
    allowed = make(tiny_base, tickets(4), numbers={"max_steps": 1, "batch_size": 64, "max_sequence_length": 1_000_000})
    with EventLog(allowed.folder) as log:
        assert running.run(allowed.recipe, log, Preemption()) is not None
    assert "to be fast" in allowed.notes, "and not the terabytes of a batch of such sequences"


def peak(workspace: Workspace, *options: str) -> dict[str, Any]:
    """Run a training in a process of its own; returns what it took."""
    workspace.command()
    script = str(Path(__file__).with_name("peak_memory.py"))
    command = [sys.executable, script, str(workspace.folder), *options]
    told = subprocess.run(command, check=True, capture_output=True, text=True)
    shutil.rmtree(workspace.recipe.checkpoint.folder)  # gigabytes
    measured: dict[str, Any] = json.loads(told.stdout.splitlines()[-1])
    return measured


def test_a_run_that_does_not_fit_is_refused_with_what_to_lower(make: Making, tiny_base: Path) -> None:
    workspace = make(tiny_base, tickets(2), numbers={"batch_size": 10**7, "max_sequence_length": 4096})
    with pytest.raises(TrainingFault, match=r"Lower hyperparameters\.batch_size") as raised:
        memory.require(workspace.recipe, bases.load_config(tiny_base), longest=4096)
    assert raised.value.fault.reason is Reason.MEMORY_INSUFFICIENT


def test_a_model_that_is_built_otherwise_is_trained_without_an_estimate(make: Making, tiny_base: Path) -> None:
    config = GPT2Config()
    assert "not known" in memory.require(make(tiny_base, tickets(2)).recipe, config, longest=64)

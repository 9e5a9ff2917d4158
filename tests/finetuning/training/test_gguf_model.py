"""Models for llama.cpp: transformers reads from them what was written, and llama.cpp says what torch says."""

import json
import shutil
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from tokenizers.pre_tokenizers import Whitespace
from touchstone_finetuning.core.recipe import GGUFType, Quantization
from touchstone_finetuning.training import bases, gguf_model, gguf_tokenizer, pretokenizers, running
from touchstone_finetuning.training.events import EventLog
from touchstone_finetuning.training.gguf_layout import FAMILIES, Layout, Shape
from touchstone_finetuning.training.gguf_model import FileOrigin, FolderOrigin
from touchstone_finetuning.training.stopping import Preemption
from transformers import AutoModelForCausalLM

from . import peers
from .conftest import Making, tickets

pytestmark = pytest.mark.timeout(600)  # models are loaded and trained, on cores that others use too


@pytest.mark.parametrize(("kind", "error"), [(GGUFType.F16, 1e-3), (GGUFType.Q8_0, 1e-2)])
def test_a_model_comes_back_from_its_file(
    smollm: Any, gguf_base: Path, tmp_path: Path, kind: GGUFType, error: float
) -> None:
    file = tmp_path / "model.gguf"
    # The others are the base's own, which are taken over as they are.
    trained = ("model.embed_tokens.", "model.norm.", "model.layers.0.", "model.layers.29.")
    weights = {key: each for key, each in smollm.state_dict().items() if key.startswith(trained)}
    layout = Layout(FAMILIES["llama"], Shape(layers=30, heads=9, kv_heads=3))
    gguf_model.write(weights, FileOrigin(gguf_base), file, layout=layout, kind=kind)
    read = bases.load_model(file, dtype=torch.float32, quantization=Quantization.NONE).state_dict()
    assert read.keys() == smollm.state_dict().keys()
    for name, values in smollm.state_dict().items():
        assert (read[name] - values).norm() <= error * values.norm(), name
    assert bases.load_tokenizer(file).chat_template == bases.load_tokenizer(gguf_base).chat_template


def test_the_file_says_how_its_weights_are_kept(smollm: Any, gguf_base: Path, tmp_path: Path) -> None:
    layout = Layout(FAMILIES["llama"], Shape(layers=30, heads=9, kv_heads=3))
    weights = {key: smollm.state_dict()[key] for key in ("model.embed_tokens.weight", "model.norm.weight")}
    gguf_model.write(weights, FileOrigin(gguf_base), tmp_path / "model.gguf", layout=layout, kind=GGUFType.Q8_0)
    reader = gguf.GGUFReader(tmp_path / "model.gguf")
    assert reader.fields["general.file_type"].contents() == gguf.LlamaFileType.MOSTLY_Q8_0
    kinds = {tensor.name: tensor.tensor_type for tensor in reader.tensors}
    assert kinds["token_embd.weight"] is gguf.GGMLQuantizationType.Q8_0
    assert kinds["output_norm.weight"] is gguf.GGMLQuantizationType.F32


def test_a_module_without_a_name_in_llamacpp_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no name for model\.layers\.0\.self_attn\.magic"):
        Layout(FAMILIES["llama"], Shape(2, 4, 2)).name("model.layers.0.self_attn.magic")


def test_llamacpp_says_with_a_trained_model_what_torch_says(make: Making, gguf_base: Path, tokenizer: Any) -> None:
    workspace = make(gguf_base, tickets(2), numbers={"max_steps": 1, "learning_rate": 1e-4})
    with EventLog(workspace.folder) as log:
        running.run(workspace.recipe, log, Preemption())
    trained = bases.load_model(workspace.output, dtype=torch.float32, quantization=Quantization.NONE)
    base = bases.load_model(gguf_base, dtype=torch.float32, quantization=Quantization.NONE)
    prompts = peers.prompts(tokenizer)
    told = peers.by_llamacpp(workspace.output / "model.gguf", None, prompts)
    distance = peers.distance(told, peers.by_torch(trained, prompts))
    assert distance < 0.02  # half precision
    assert peers.distance(told, peers.by_torch(base, prompts)) > 4 * distance


TEXTS = [
    "Don't pay 1234567 for it, we'll see: 3.14159 or 12 345!",
    "  two   spaces\n\n\tand tabs \r\n end  ",
    "Grüße aus Zürich, 東京は2026年, Привет! مرحبا \U0001f9d1\u200d\U0001f680",
    "<|im_start|>user\nHELLO'S IT'LL<|im_end|>\n",
    "def f(x):\n    if x == 12:\n        return 1",
    "x=[1,2,3];\n\n\nif(x){y+=0x1F;}  // ok???",
]


@pytest.fixture
def folder(tiny_base: Path, tmp_path: Path) -> Path:
    """A folder of the test's own."""
    return Path(shutil.copytree(tiny_base, tmp_path / "folder"))


def written(folder: Path, **changes: Any) -> Path:
    """Write the model in a folder as one file, with numbers of its configuration changed."""
    config = bases.load_config(folder)
    config.update(changes)
    torch.manual_seed(5)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.save_pretrained(folder)
    weights = {key: each for key, each in model.state_dict().items() if key != "lm_head.weight"}
    shape = Shape(config.num_hidden_layers, config.num_attention_heads, config.num_key_value_heads)
    layout, file = Layout(FAMILIES[config.model_type], shape), folder / "model.gguf"
    origin = FolderOrigin(model.config, bases.load_tokenizer(folder), folder)
    gguf_model.write(weights, origin, file, layout=layout, kind=GGUFType.F16)
    return file


MERGES = [("Ġ", "1"), ("1", "2"), ("12", "3"), ("123", "4"), ("(", "x"), ("L", "L"), ("'", "LL")]
"""What SmolLM2 never merges, as it cuts between: merged or not, it tells where a text was cut."""


@pytest.fixture
def merging(folder: Path) -> Path:
    """A folder whose tokenizer would merge over every border."""
    file = folder / "tokenizer.json"
    document = json.loads(file.read_text())
    vocab = document["model"]["vocab"]
    for pair in MERGES:
        vocab.setdefault("".join(pair), len(vocab))
        document["model"]["merges"].append(list(pair))
    file.write_text(json.dumps(document))
    return folder


def tokens(place: Path) -> list[list[int]]:
    """Cut the texts with the tokenizer of a base."""
    tokenizer = bases.load_tokenizer(place)
    return [tokenizer(text)["input_ids"] for text in TEXTS]


def cutting(folder: Path, name: str) -> Path:
    """Have the tokenizer of a folder cut in one of the known ways."""
    tokenizer = bases.load_tokenizer(folder)
    tokenizer.backend_tokenizer.pre_tokenizer = pretokenizers.KNOWN[name]
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", pretokenizers.KNOWN)
def test_llamacpp_cuts_texts_into_the_tokens_that_were_trained_on(merging: Path, tmp_path: Path, name: str) -> None:
    ours = tokens(cutting(merging, name))
    file = written(merging, vocab_size=len(bases.load_tokenizer(merging)))
    assert peers.llamacpp_tokens(file, TEXTS) == ours
    # As a base, where no tokenizer.json lies beside it: transformers alone cuts all such files as GPT-2 does.
    (tmp_path / "alone").mkdir()
    assert tokens(file.rename(tmp_path / "alone" / "model.gguf")) == ours


def test_each_way_to_cut_makes_other_tokens_of_what_is_compared(merging: Path) -> None:
    """The negative control: a wrong name would be seen."""
    found = {name: str(tokens(cutting(merging, name))) for name in pretokenizers.KNOWN}
    assert len(set(found.values())) == len(found)


LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}  # fmt: skip


@pytest.mark.parametrize("rope", [{"rope_type": "default", "rope_theta": 10000.0}, LLAMA3], ids=["default", "llama3"])
def test_llamacpp_says_with_the_model_of_a_folder_what_torch_says(folder: Path, tokenizer: Any, rope: Any) -> None:
    # Weights large enough that attention is sharp, and a prompt long enough that stretched frequencies matter.
    file = written(folder, rope_parameters=rope, initializer_range=0.6)
    model = bases.load_model(folder, dtype=torch.float32, quantization=Quantization.NONE)
    prompts = [*peers.prompts(tokenizer), tokenizer(" ".join(map(str, range(150))))["input_ids"][:300]]
    distance = peers.distance(peers.by_llamacpp(file, None, prompts), peers.by_torch(model, prompts))
    plain = bases.load_model(folder, dtype=torch.float32, quantization=Quantization.NONE)
    for name, values in model.named_buffers():
        if name.endswith("inv_freq"):
            plain.get_buffer(name).copy_(values * 2)
    other = peers.distance(peers.by_llamacpp(file, None, prompts), peers.by_torch(plain, prompts))
    assert distance < 0.02, "half precision"
    assert other > 10 * distance, "positions matter to what is compared"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}}, "of the type linear"),
        ({"sliding_window": 128}, "a window of 128 tokens"),
    ],
)
def test_a_model_that_llamacpp_would_run_otherwise_is_not_written(folder: Path, changes: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        written(folder, **changes)


def test_a_tokenizer_that_cuts_in_an_unknown_way_is_not_written(folder: Path) -> None:
    tokenizer = bases.load_tokenizer(folder)
    tokenizer.backend_tokenizer.pre_tokenizer = Whitespace()
    with pytest.raises(ValueError, match="is not known here"):
        gguf_tokenizer.pre_name(tokenizer)


def test_training_all_weights_of_a_folder_leaves_a_file_for_llamacpp(make: Making, tiny_base: Path) -> None:
    workspace = make(tiny_base, tickets(4), numbers={"max_steps": 2})
    with EventLog(workspace.folder) as log:
        running.run(workspace.recipe, log, Preemption())
    trained = bases.load_model(workspace.output, dtype=torch.float32, quantization=Quantization.NONE)
    prompts = peers.prompts(bases.load_tokenizer(workspace.output))
    told = peers.by_llamacpp(workspace.output / "model.gguf", None, prompts)
    assert peers.distance(told, peers.by_torch(trained, prompts)) < 0.02


def test_a_gguf_base_is_trained_on_the_tokens_that_llamacpp_cuts(gguf_base: Path) -> None:
    tokenizer = bases.load_tokenizer(gguf_base)
    assert peers.llamacpp_tokens(gguf_base, TEXTS) == [tokenizer(text)["input_ids"] for text in TEXTS]


def test_why_there_is_no_file_for_llamacpp_is_told(make: Making, folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    rope = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0}
    (folder / "config.json").write_text(json.dumps({**config, "rope_parameters": rope}))
    workspace = make(folder, tickets(4), numbers={"max_steps": 1})
    with EventLog(workspace.folder) as log:
        running.run(workspace.recipe, log, Preemption())
    assert not (workspace.output / "model.gguf").exists()
    assert "There is no model.gguf: its rotary embeddings are of the type linear." in workspace.notes

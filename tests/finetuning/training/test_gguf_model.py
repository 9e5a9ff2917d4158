"""Models for llama.cpp: transformers reads from them what was written, and llama.cpp says what torch says."""

from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from touchstone_finetuning.core.recipe import GGUFType, Quantization
from touchstone_finetuning.training import bases, gguf_model, running
from touchstone_finetuning.training.events import EventLog
from touchstone_finetuning.training.gguf_layout import FAMILIES, Layout, Shape
from touchstone_finetuning.training.stopping import Preemption

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
    gguf_model.write(weights, gguf_base, file, layout=layout, kind=kind)
    read = bases.load_model(file, dtype=torch.float32, quantization=Quantization.NONE).state_dict()
    assert read.keys() == smollm.state_dict().keys()
    for name, values in smollm.state_dict().items():
        assert (read[name] - values).norm() <= error * values.norm(), name
    assert bases.load_tokenizer(file).chat_template == bases.load_tokenizer(gguf_base).chat_template


def test_the_file_says_how_its_weights_are_kept(smollm: Any, gguf_base: Path, tmp_path: Path) -> None:
    layout = Layout(FAMILIES["llama"], Shape(layers=30, heads=9, kv_heads=3))
    weights = {key: smollm.state_dict()[key] for key in ("model.embed_tokens.weight", "model.norm.weight")}
    gguf_model.write(weights, gguf_base, tmp_path / "model.gguf", layout=layout, kind=GGUFType.Q8_0)
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

"""Models for llama.cpp: transformers reads from them what was written, by its own rules."""

from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from touchstone_finetuning.core.recipe import GGUFType, Quantization
from touchstone_finetuning.training import bases, gguf_model
from touchstone_finetuning.training.gguf_layout import FAMILIES, Layout, Shape


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

"""A LoRA adapter as llama.cpp takes it: one GGUF file beside the safetensors of peft."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import gguf
from safetensors.torch import load_file

from touchstone_finetuning.training.gguf_layout import Array, Layout

_KEY = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight")


def convert(adapter: Path, target: Path, layout: Layout) -> None:
    """Write the adapter in a folder of peft's as one GGUF file.

    Raises:
        ValueError: there is a tensor that has no name in llama.cpp.
    """
    config = json.loads((adapter / "adapter_config.json").read_text())
    writer = gguf.GGUFWriter(target, layout.arch)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(config["lora_alpha"]))
    for name, values in _tensors(adapter / "adapter_model.safetensors", layout):
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tensors(weights: Path, layout: Layout) -> Iterator[tuple[str, Array]]:
    for key, values in sorted(load_file(weights).items()):
        found = _KEY.fullmatch(key)
        if found is None:
            raise ValueError(f"llama.cpp has no name for {key}.")
        module, is_output = found["module"], found["side"] == "B"
        matrix = values.float().numpy()  # over a base of four bits they are bfloat16, which numpy does not have
        yield (
            f"{layout.name(module)}.weight.lora_{found['side'].lower()}",
            layout.order(module, matrix) if is_output else matrix,
        )

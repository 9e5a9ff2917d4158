"""A model as llama.cpp takes it: one GGUF file, with the tokenizer of the GGUF file that it was trained from."""

from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np
import torch

from touchstone_finetuning.core.recipe import GGUFType
from touchstone_finetuning.training.gguf_layout import Array, Layout

_KINDS = {
    GGUFType.F16: (gguf.GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16),
    GGUFType.Q8_0: (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
}
_OF_THE_WEIGHTS = (gguf.Keys.General.ARCHITECTURE, gguf.Keys.General.FILE_TYPE)


def write(weights: Mapping[str, torch.Tensor], base: Path, target: Path, *, layout: Layout, kind: GGUFType) -> None:
    """Write a model whose base is a GGUF file.

    Matrices are kept as `kind`; vectors, which are small and matter much, as they are. What the base holds beside the
    weights that are trained (factors of rotary embeddings) is taken over.

    Raises:
        ValueError: there is a tensor that has no name in llama.cpp.
    """
    source = gguf.GGUFReader(base)
    writer = gguf.GGUFWriter(target, layout.arch)
    _copy_metadata(source, writer)
    written = set()
    quantization, file_type = _KINDS[kind]
    writer.add_file_type(file_type)
    for key, tensor in weights.items():
        module, _, part = key.rpartition(".")
        name = f"{layout.name(module)}.{part}"
        _add(writer, name, layout.order(module, tensor.float().cpu().numpy()), quantization)
        written.add(name)
    for other in source.tensors:
        # With tied weights the base has no output of its own, or one that would contradict what was trained.
        if other.name not in written and other.name != "output.weight":
            writer.add_tensor(other.name, other.data, raw_dtype=other.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _copy_metadata(source: gguf.GGUFReader, writer: gguf.GGUFWriter) -> None:
    for key, field in source.fields.items():
        if not key.startswith("GGUF.") and key not in _OF_THE_WEIGHTS:
            inner = field.types[1] if len(field.types) > 1 else None
            writer.add_key_value(key, field.contents(), field.types[0], sub_type=inner)


def _add(writer: gguf.GGUFWriter, name: str, values: Array, quantization: gguf.GGMLQuantizationType) -> None:
    if values.ndim == 1:
        writer.add_tensor(name, values)
        return
    if values.shape[-1] % gguf.GGML_QUANT_SIZES[quantization][0]:
        quantization = gguf.GGMLQuantizationType.F16  # a row is no whole number of blocks
    writer.add_tensor(name, gguf.quants.quantize(np.ascontiguousarray(values), quantization), raw_dtype=quantization)

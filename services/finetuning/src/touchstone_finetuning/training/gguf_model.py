"""A model as llama.cpp takes it: one GGUF file, with numbers and tokenizer of what it was trained from."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

import gguf
import numpy as np
import numpy.typing as npt
import torch
from transformers import PretrainedConfig, PreTrainedTokenizerFast

from touchstone_finetuning.core.recipe import GGUFType
from touchstone_finetuning.training import gguf_config, gguf_tokenizer
from touchstone_finetuning.training.gguf_layout import Array, Layout

_KINDS = {
    GGUFType.F16: (gguf.GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16),
    GGUFType.Q8_0: (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
}
_OF_THE_WEIGHTS = (gguf.Keys.General.ARCHITECTURE, gguf.Keys.General.FILE_TYPE)


class Tensor(NamedTuple):
    """A tensor as a file holds it."""

    name: str
    values: npt.NDArray[np.generic]
    kind: gguf.GGMLQuantizationType


class Origin(Protocol):
    """What a model was trained from, beside its weights."""

    def describe(self, writer: gguf.GGUFWriter) -> None:
        """Write numbers and tokenizer."""
        ...

    def tensors(self) -> Iterator[Tensor]:
        """Return what has no gradient: factors of rotary embeddings."""
        ...


class FileOrigin:
    """A GGUF file: what it says is taken over."""

    def __init__(self, base: Path) -> None:
        self._source = gguf.GGUFReader(base)

    def describe(self, writer: gguf.GGUFWriter) -> None:
        """Write what the file says, but of the weights."""
        for key, field in self._source.fields.items():
            if not key.startswith("GGUF.") and key not in _OF_THE_WEIGHTS:
                inner = field.types[1] if len(field.types) > 1 else None
                writer.add_key_value(key, field.contents(), field.types[0], sub_type=inner)

    def tensors(self) -> Iterator[Tensor]:
        """Return all of its tensors. With tied weights an output of its own would contradict what was trained."""
        for each in self._source.tensors:
            if each.name != "output.weight":
                yield Tensor(each.name, each.data, each.tensor_type)


class FolderOrigin:
    """A Hugging Face folder."""

    def __init__(self, config: PretrainedConfig, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
        """Prepare.

        Args:
            config: The model's numbers.
            tokenizer: Its tokenizer.
            folder: Where the tokenizer was saved.

        Raises:
            ValueError: llama.cpp would do otherwise than this model; the text goes on "… because".
        """
        gguf_config.check(config)
        self._pre = gguf_tokenizer.pre_name(tokenizer)
        self._config = config
        self._tokenizer = tokenizer
        self._folder = folder

    def describe(self, writer: gguf.GGUFWriter) -> None:
        """Write the numbers of the configuration, and the tokenizer."""
        gguf_config.write(writer, self._config)
        size = self._config.vocab_size
        gguf_tokenizer.write(writer, self._tokenizer, self._folder, pre=self._pre, size=size)

    def tensors(self) -> Iterator[Tensor]:
        """Return the factors of rotary embeddings, where there are some."""
        factors = gguf_config.rope_factors(self._config)
        if factors is not None:
            yield Tensor(gguf_config.ROPE_FACTORS, factors, gguf.GGMLQuantizationType.F32)


def write(weights: Mapping[str, torch.Tensor], origin: Origin, target: Path, *, layout: Layout, kind: GGUFType) -> None:
    """Write a model.

    Matrices are kept as `kind`; vectors, which are small and matter much, as they are. What its origin holds beside the
    weights that are trained is taken over.

    Raises:
        ValueError: there is a tensor that has no name in llama.cpp.
    """
    writer = gguf.GGUFWriter(target, layout.arch)
    origin.describe(writer)
    written = set()
    quantization, file_type = _KINDS[kind]
    writer.add_file_type(file_type)
    for key, tensor in weights.items():
        module, _, part = key.rpartition(".")
        name = f"{layout.name(module)}.{part}"
        _add(writer, name, layout.order(module, tensor.float().cpu().numpy()), quantization)
        written.add(name)
    for other in origin.tensors():
        if other.name not in written:
            writer.add_tensor(other.name, other.values, raw_dtype=other.kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add(writer: gguf.GGUFWriter, name: str, values: Array, quantization: gguf.GGMLQuantizationType) -> None:
    if values.ndim == 1:
        writer.add_tensor(name, values)
        return
    if values.shape[-1] % gguf.GGML_QUANT_SIZES[quantization][0]:
        quantization = gguf.GGMLQuantizationType.F16  # a row is no whole number of blocks
    writer.add_tensor(name, gguf.quants.quantize(np.ascontiguousarray(values), quantization), raw_dtype=quantization)

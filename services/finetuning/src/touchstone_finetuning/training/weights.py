"""Weights as numpy arrays: folders of safetensors, one tensor in memory at a time, without torch.

A file of safetensors begins with the length of its header, eight bytes, and the header, JSON that says how each tensor
is kept and where. numpy has no bfloat16: its numbers are the upper halves of those of float32.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import TensorSpec, serialize_file

from touchstone_finetuning.core.merging import Array
from touchstone_finetuning.training.faults import base_invalid

SHARD_BYTES = 2 * 2**30
INDEX = "model.safetensors.index.json"

_BFLOAT16 = "BF16"
_NAN = np.uint16(0x7FC0)
_NAMES = {
    "F64": "float64", "F32": "float32", "F16": "float16", _BFLOAT16: "bfloat16", "I64": "int64", "I32": "int32",
    "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
"""Kinds of numbers in a header, and as they are named to whoever writes one."""


class Tensor(NamedTuple):
    """Numbers, and how they are kept."""

    numbers: Array
    kind: str
    """As the header has it."""


class _Place(NamedTuple):
    file: Path
    kind: str
    shape: tuple[int, ...]
    start: int
    end: int


class Weights:
    """The tensors of one model, read as they are asked for."""

    def __init__(self, folder: Path) -> None:
        files = sorted(folder.glob("*.safetensors"))
        if not (folder / "config.json").is_file() or not files:
            raise base_invalid(folder, "it is no folder with a config.json and safetensors.")
        self.folder = folder
        self._places: dict[str, _Place] = {}
        for file in files:
            try:
                self._places.update(_places(file))
            except (ValueError, KeyError, TypeError) as error:
                raise base_invalid(folder, f"{file.name} is no file of safetensors ({error}).") from error

    @property
    def names(self) -> list[str]:
        """The names of all tensors."""
        return sorted(self._places)

    def tensor(self, name: str) -> Tensor:
        """Read one tensor."""
        place = self._places[name]
        if place.kind not in _NAMES:
            raise base_invalid(self.folder, f"{name} is kept as {place.kind}, which cannot be merged.")
        with place.file.open("rb") as file:
            file.seek(place.start)
            content = file.read(place.end - place.start)
        return Tensor(_numbers(content, place.kind).reshape(place.shape), place.kind)


def save(folder: Path, tensors: Iterator[tuple[str, Tensor]]) -> None:
    """Write tensors in files of a bounded size, and where each is."""
    places: dict[str, str] = {}
    held: dict[str, Tensor] = {}
    count = total = size = 0
    for name, tensor in tensors:
        kept = _kept(tensor)
        if held and size + kept.numbers.nbytes > SHARD_BYTES:
            count, size = _shard(folder, held, count, places), 0
        held[name] = kept
        size += kept.numbers.nbytes
        total += kept.numbers.nbytes
    if not count:
        _write(held, folder / "model.safetensors")
        return
    _shard(folder, held, count, places)
    (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": places}, indent=2))


def _places(file: Path) -> Iterator[tuple[str, _Place]]:
    with file.open("rb") as opened:
        begin = 8 + int.from_bytes(opened.read(8), "little")
        if begin > file.stat().st_size:
            raise ValueError("its header is longer than the file")
        header: Mapping[str, Any] = json.loads(opened.read(begin - 8))
    for name, told in header.items():
        if name != "__metadata__":
            start, end = told["data_offsets"]
            yield name, _Place(file, told["dtype"], tuple(told["shape"]), begin + start, begin + end)


def _numbers(content: bytes, kind: str) -> Array:
    if kind == _BFLOAT16:
        halves = np.frombuffer(content, np.uint16)
        return (halves.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return np.frombuffer(content, _NAMES[kind]).astype(np.float32)


def _kept(tensor: Tensor) -> Tensor:
    """Write numbers as they are kept; those of bfloat16 are rounded to the nearest, of two as near to the even one."""
    numbers = np.ascontiguousarray(tensor.numbers, np.float32)
    if tensor.kind != _BFLOAT16:
        return Tensor(numbers.astype(_NAMES[tensor.kind]), tensor.kind)
    bits = numbers.view(np.uint32)
    half = np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    rounded = ((bits + half) >> np.uint32(16)).astype(np.uint16)
    return Tensor(np.where(np.isnan(numbers), _NAN, rounded), tensor.kind)


def _shard(folder: Path, held: dict[str, Tensor], count: int, places: dict[str, str]) -> int:
    name = f"model-{count + 1:05d}.safetensors"
    _write(held, folder / name)
    places.update(dict.fromkeys(held, name))
    held.clear()
    return count + 1


def _write(held: Mapping[str, Tensor], file: Path) -> None:
    written = {
        name: TensorSpec(dtype=_NAMES[kind], shape=array.shape, data_ptr=array.ctypes.data, data_len=array.nbytes)
        for name, (array, kind) in held.items()
    }
    serialize_file(written, file, {"format": "pt"})

"""What a run is to make: its method, data, numbers and places. Values only; `validation` refuses. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from touchstone_finetuning.core import codec


class Method(StrEnum):
    """How the weights are changed."""

    SFT = "SFT"
    DPO = "DPO"
    CONTINUED_PRETRAINING = "ContinuedPretraining"
    MERGE = "Merge"


class Format(StrEnum):
    """What a record of the data holds."""

    CHATML = "ChatML"
    """`messages`: a list of {role, content}."""
    ALPACA = "Alpaca"
    """`instruction`, `input` (may be empty or left out), `output`."""
    TEXT = "Text"
    """`text`."""
    PREFERENCE = "Preference"
    """`prompt`, `chosen`, `rejected`: each a string or a list of {role, content}."""


class Quantization(StrEnum):
    """How the frozen weights under an adapter are kept."""

    NONE = "None"
    NF4 = "NF4"
    """Four bits a weight (Dettmers et al. 2023, "QLoRA")."""


class Resume(StrEnum):
    """What happens with checkpoints that are there at the start."""

    IF_EXISTS = "IfExists"
    NEVER = "Never"


class GGUFType(StrEnum):
    """How the weights of `model.gguf` are kept."""

    F16 = "F16"
    Q8_0 = "Q8_0"
    """Eight bits a weight and one scale for 32 of them: the int8 of llama.cpp."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A low-rank adapter (Hu et al. 2021, "LoRA"): the base's own weights stay as they are."""

    rank: int = 16
    alpha: float = 32.0
    """The adapter's product is scaled by alpha / rank."""
    dropout: float = 0.0
    target_modules: tuple[str, ...] | None = None
    """Names of linear layers; None is all of them but the output layer."""
    quantization: Quantization = Quantization.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperparameters:
    """The numbers of the run."""

    epochs: int = 1
    max_steps: int | None = None
    """Ends the run after so many optimizer steps, whatever `epochs` says."""
    learning_rate: float = 2e-4
    batch_size: int = 8
    """Sequences (pairs, for DPO) that go through the model at once."""
    gradient_accumulation: int = 1
    """Batches to one optimizer step."""
    max_sequence_length: int = 1024
    """In tokens."""
    seed: int = 42
    warmup_ratio: float = 0.0
    """The share of steps in which the learning rate rises; then it falls linearly to zero."""
    beta: float = 0.1
    """DPO: how dear it is to leave the base (Rafailov et al. 2023, eq. 7)."""
    packing: bool = False
    """SFT: several records to a sequence, none of which sees another. ContinuedPretraining always packs."""
    gradient_checkpointing: bool = False
    """Computes activations twice and keeps one a layer: less memory, about a third more time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpointing:
    """Where the state of the run is kept, and how often."""

    folder: str
    interval_steps: int = 200
    keep: int = 2
    resume: Resume = Resume.IF_EXISTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A training run. Paths are of this machine; who started the run has fetched what they name."""

    method: Method
    base: str
    """A folder as Hugging Face lays it out, or one .gguf file, which is dequantised."""
    train: tuple[str, ...]
    """Parquet files or files of JSON lines."""
    format: Format
    checkpoint: Checkpointing
    output: str
    """A folder that is not there yet, or is one of an earlier try of this run."""
    adapter: Adapter | None = None
    """None trains all weights."""
    validation: tuple[str, ...] = ()
    hyperparameters: Hyperparameters = field(default_factory=Hyperparameters)
    output_quantization: GGUFType = GGUFType.F16
    threads: int = 1
    """Processor threads of one operation. Results repeat bit by bit for the same number."""
    memory_bytes: int = 0
    """What the run may count on, if that much is free; 0: all that is free. Of a GPU, always all."""
    lineage: Mapping[str, str] = field(default_factory=dict)
    """What the service knows of base, data, specification and image; kept beside the artefact as it is."""


class MergeType(StrEnum):
    """How several models become one."""

    LINEAR = "Linear"
    SLERP = "SLERP"
    TASK_ARITHMETIC = "TaskArithmetic"
    TIES = "TIES"
    DARE_LINEAR = "DARELinear"
    DARE_TIES = "DARETIES"


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedModel:
    """One of the models that are merged."""

    path: str
    weight: float = 1.0
    """SLERP: the second model's is the place on the way from the first to it, 0 to 1."""
    density: float = 1.0
    """TIES and DARE: the share of a task vector's numbers that is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeRecipe:
    """A merge: no data, no steps."""

    method: Method
    models: tuple[MergedModel, ...]
    type: MergeType
    output: str
    base: str | None = None
    """The model that the others were trained from: TaskArithmetic, TIES and DARE need it."""
    seed: int = 42
    """DARE: which numbers are dropped."""
    normalize: bool = True
    """Linear and TIES: divide by the sum of weights."""
    lineage: Mapping[str, str] = field(default_factory=dict)


def read(text: str) -> Recipe | MergeRecipe:
    """Read the recipe of a training run or of a merge.

    Raises:
        ValueError: it is neither; the message names each fault.
    """
    fields = json.loads(text)
    is_merge = isinstance(fields, dict) and fields.get("method") == Method.MERGE
    return codec.from_fields(fields, MergeRecipe) if is_merge else codec.from_fields(fields, Recipe)

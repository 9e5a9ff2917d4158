"""Base models: a folder as Hugging Face lays it out, or one GGUF file, which is dequantised."""

import json
from pathlib import Path

import gguf
import torch
from tokenizers.pre_tokenizers import PreTokenizer
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    GgufConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from touchstone_finetuning.core.outcome import Reason
from touchstone_finetuning.core.recipe import Quantization
from touchstone_finetuning.training import pretokenizers
from touchstone_finetuning.training.faults import TrainingFault, base_invalid

GGUF = ".gguf"


def load_tokenizer(base: Path) -> PreTrainedTokenizerFast:
    """Load the tokenizer of a base.

    Raises:
        TrainingFault: BaseModelInvalid; there is none, or one that does not tell where its tokens lie.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(*_place(base), **_file(base))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise base_invalid(base, f"its tokenizer cannot be loaded ({error}).") from error
    if not tokenizer.is_fast:
        raise base_invalid(base, "its tokenizer has no tokenizer.json, which says where tokens lie in a text.")
    if base.suffix == GGUF and (known := _pre_tokenizer(base)):
        tokenizer.backend_tokenizer.pre_tokenizer = known  # transformers takes many for GPT-2's
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_config(base: Path) -> PretrainedConfig:
    """Load the numbers of a base.

    Raises:
        TrainingFault: BaseModelInvalid; there are none.
    """
    try:
        return AutoConfig.from_pretrained(*_place(base), **_file(base))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise base_invalid(base, f"its configuration cannot be loaded ({error}).") from error


def load_model(base: Path, *, dtype: torch.dtype, quantization: Quantization) -> PreTrainedModel:
    """Load the weights of a base.

    Raises:
        TrainingFault: BaseModelInvalid, or MethodUnsupported where this machine cannot quantise as asked.
    """
    if quantization is Quantization.NF4:
        config: object = _nf4(base)
    else:
        config = GgufConfig(dequantize=True) if base.suffix == GGUF else None
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            *_place(base), **_file(base), dtype=dtype, quantization_config=config, attn_implementation="sdpa"
        )
    except (OSError, ValueError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise base_invalid(base, f"its weights cannot be loaded ({error}).") from error
    return model


def _nf4(base: Path) -> BitsAndBytesConfig:
    if base.suffix == GGUF:
        cause = "the base is a GGUF file; name the folder of its original weights"
    else:
        try:
            import bitsandbytes  # noqa: F401, PLC0415 - an extra of its own
        except ImportError:
            cause = "the package bitsandbytes is not installed (extra nf4)"
        else:
            return BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type="nf4",
                bnb_4bit_use_double_quant=True,
                bnb_4bit_compute_dtype=torch.bfloat16 if torch.cuda.is_available() else torch.float32,
            )
    raise TrainingFault(
        Reason.METHOD_UNSUPPORTED, f"NF4 (QLoRA) does not run here: {cause}. Take adapter.quantization None."
    )


def _pre_tokenizer(base: Path) -> PreTokenizer | None:
    """Find how a GGUF file says that texts are cut; None: in no way that is known here."""
    field = gguf.GGUFReader(base).fields.get(gguf.Keys.Tokenizer.PRE)
    return pretokenizers.KNOWN.get(field.contents()) if field else None


def _place(base: Path) -> tuple[Path]:
    if base.suffix == GGUF:
        if not base.is_file():
            raise base_invalid(base, "there is no such file.")
        return (base.parent,)
    if not (base / "config.json").is_file():
        raise base_invalid(base, "it is neither a .gguf file nor a folder with a config.json.")
    return (base,)


def _file(base: Path) -> dict[str, str]:
    return {"gguf_file": base.name} if base.suffix == GGUF else {}

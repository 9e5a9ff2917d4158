"""The tokenizer of a Hugging Face folder as a GGUF file holds it, for those that merge bytes as GPT-2's does."""

import json
from pathlib import Path
from typing import Any

import gguf
from transformers import PreTrainedTokenizerFast

from touchstone_finetuning.training import pretokenizers

MODEL = "gpt2"
"""llama.cpp's name for tokenizers that merge bytes."""


def pre_name(tokenizer: PreTrainedTokenizerFast) -> str:
    """Name how a tokenizer cuts texts, as llama.cpp does.

    Raises:
        ValueError: it is not of the kind of GPT-2's, or cuts in a way that is not known.
    """
    document = _document(tokenizer)
    model, decoder = document["model"], document.get("decoder") or {}
    if model["type"] != "BPE" or model.get("byte_fallback") or decoder.get("type") != "ByteLevel":
        raise ValueError("its tokenizer does not merge bytes as GPT-2's does")
    return pretokenizers.name(tokenizer.backend_tokenizer.pre_tokenizer)


def write(writer: gguf.GGUFWriter, tokenizer: PreTrainedTokenizerFast, folder: Path, *, pre: str, size: int) -> None:
    """Write a tokenizer.

    Args:
        writer: Of the file.
        tokenizer: The tokenizer.
        folder: Where it was saved: merges, special tokens and the chat template are read there.
        pre: Its `pre_name`.
        size: Rows of the embedding; those without a token get a name that no text holds.
    """
    writer.add_tokenizer_model(MODEL)
    writer.add_tokenizer_pre(pre)
    names, kinds = _tokens(_document(tokenizer), size)
    writer.add_token_list(names)
    writer.add_token_types(kinds)
    special = gguf.SpecialVocab(folder, load_merges=True, n_vocab=size)
    # What a folder does not say is no: llama.cpp would take a begin marker for meant.
    special.add_special_token = {"bos": False, **special.add_special_token}
    special.add_to_gguf(writer, quiet=True)


def _document(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    return found


def _tokens(document: dict[str, Any], size: int) -> tuple[list[str], list[int]]:
    names = [f"[PAD{number}]" for number in range(size)]
    kinds = [int(gguf.TokenType.UNUSED)] * size
    for text, number in document["model"]["vocab"].items():
        names[number], kinds[number] = text, int(gguf.TokenType.NORMAL)
    for token in document["added_tokens"]:
        kind = gguf.TokenType.CONTROL if token["special"] else gguf.TokenType.USER_DEFINED
        names[token["id"]], kinds[token["id"]] = token["content"], int(kind)
    return names, kinds

"""How tokenizers of the kind of GPT-2 cut a text before they merge bytes, by llama.cpp's names of it.

A GGUF file says by such a name what a tokenizer.json says by its `pre_tokenizer`; both must cut alike, or the weights
read other tokens where they serve than where they were trained.
"""

import json

from tokenizers import Regex, pre_tokenizers
from tokenizers.pre_tokenizers import PreTokenizer

_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"


def _by(pattern: str) -> PreTokenizer:
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), _bytes(use_regex=False)])


def _bytes(*, use_regex: bool) -> PreTokenizer:
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)


KNOWN: dict[str, PreTokenizer] = {
    "gpt-2": _bytes(use_regex=True),
    "smollm": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), _bytes(use_regex=True)]),
    "llama-bpe": _by(rf"{_WORDS}|\p{{N}}{{1,3}}|{_REST}"),
    "qwen2": _by(rf"{_WORDS}|\p{{N}}|{_REST}"),
}
"""GPT-2's own; SmolLM's; that of Llama 3; that of Qwen 2 and later."""


def name(found: PreTokenizer) -> str:
    """Name how a tokenizer cuts, as llama.cpp does.

    Raises:
        ValueError: llama.cpp's name of it is not known here.
    """
    asked = _parts(found)
    for known, one in KNOWN.items():
        if _parts(one) == asked:
            return known
    raise ValueError("its tokenizer cuts texts in a way whose name in llama.cpp is not known here")


def _parts(found: PreTokenizer) -> object:
    """Write what a cut depends on; offsets of tokens in the text are no part of it."""
    document = json.loads(found.__getstate__())
    parts = document.get("pretokenizers", [document])
    return [{key: value for key, value in part.items() if key != "trim_offsets"} for part in parts]

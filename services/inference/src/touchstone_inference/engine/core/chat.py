"""ChatML. Pure.

The template that comes inside a GGUF file is code of its author; SmolLM2's puts a system turn in front that derails the
model. So turns are rendered here, in the form that ChatML models are trained on, and nothing is added.
"""

from collections.abc import Iterable, Sequence

from touchstone_inference.engine.core.generation import Speaker, Turn

END_OF_TURN = "<|im_end|>"
STOPS = (END_OF_TURN, "<|im_start|>", "<|endoftext|>")
"""Texts that end an answer."""


def render(turns: Sequence[Turn]) -> str:
    """Render turns and open the assistant's; an assistant's turn at the end is continued.

    Text that looks like a marker is broken up by a zero-width space: a message cannot open a turn of its own.
    """
    parts = [f"<|im_start|>{turn.speaker}\n{disarmed(turn.content)}{END_OF_TURN}\n" for turn in turns]
    if turns[-1].speaker is Speaker.ASSISTANT:
        return "".join(parts).removesuffix(f"{END_OF_TURN}\n")
    return "".join(parts) + f"<|im_start|>{Speaker.ASSISTANT}\n"


def disarmed(content: str, markers: Iterable[str] = ("<|",)) -> str:
    """Break up markers inside a message."""
    for marker in markers:
        content = content.replace(marker, f"{marker[0]}\u200b{marker[1:]}")
    return content

"""Programs in answers, and how many of several have to pass. Pure."""

import re
from enum import StrEnum

from scipy.special import comb

_FENCED = re.compile(r"^```[ \t]*(?P<language>[\w+-]*)[^\n]*\n(?P<content>.*?)(?:^```|\Z)", re.MULTILINE | re.DOTALL)
_PYTHON = ("", "py", "python", "python3")
_NEXT = re.compile(r"\n(?=(?:class|def|if|print|assert|from|import|@)\b|#|```|\"\"\"|<\|)")


class Form(StrEnum):
    """How an answer holds a program."""

    BLOCK = "Block"
    """In its first fenced block of Python; without fences the whole answer is one."""
    COMPLETION = "Completion"
    """It continues the question, up to the first line that begins something else."""


def program(answer: str, question: str, form: Form) -> str:
    """Take the program out of an answer.

    The ends of a completion are those of the stop sequences of Chen et al. (2021), section 2.2.
    """
    if form is Form.COMPLETION:
        return question + _NEXT.split(answer, maxsplit=1)[0] + "\n"
    blocks = (found["content"] for found in _FENCED.finditer(answer) if found["language"].lower() in _PYTHON)
    return next(blocks, answer)


def pass_at(k: int, samples: int, passed: int) -> float:
    """The probability that at least one of k answers passes, without bias from n answers of which c passed.

    1 - C(n - c, k) / C(n, k); Chen et al. (2021), equation 1.

    Args:
        k: How many answers one would have, 1 to `samples`.
        samples: How many there were.
        passed: How many of them passed.
    """
    return 1.0 - float(comb(samples - passed, k) / comb(samples, k))

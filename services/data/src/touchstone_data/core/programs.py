"""Programs in what models wrote. Pure."""

import re

_FENCED = re.compile(
    r"^```[ \t]*(?:python3?|py)?[ \t]*\n(?P<program>.*?)^```", re.MULTILINE | re.DOTALL | re.IGNORECASE
)


def program(text: str) -> str:
    """The first fenced block of Python; a text without one is all program."""
    found = _FENCED.search(text)
    return found["program"] if found else text

"""`$(NAME)` in commands, arguments and values, as Kubernetes expands it. Pure."""

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$(?:(?P<escape>\$)|\((?P<name>[^()]*)\))")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Return the text with its references replaced.

    `$$` stands for one dollar sign, and a reference to an unknown name is left as it is.
    """

    def replacement(match: re.Match[str]) -> str:
        if match["escape"]:
            return "$"
        return variables.get(match["name"], match[0])

    return _REFERENCE.sub(replacement, text)

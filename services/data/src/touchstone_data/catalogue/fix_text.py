"""Text as it was meant: wrong decodings undone, one normal form of Unicode, no control characters."""

import re
from functools import partial

import ftfy

from touchstone_data.catalogue.editing import editing
from touchstone_data.core.steps import FIELDS_SCHEMA, Parameters, RecordWork, Step, Surroundings

CONFIG = ftfy.TextFixerConfig(
    unescape_html=False,  # that is clean-html's
    uncurl_quotes=False,
    normalization="NFC",
)
_PLAIN = re.compile(r"[\t\n\x20-\x7e]*")
_LINES = re.compile(r"\n{3,}")


def fix(text: str, *, collapse: bool) -> str:
    """Repair a text; with `collapse`, runs of spaces become one and of empty lines two."""
    # Nothing of plain ASCII can be wrong: most texts of English need not be looked at by character.
    fixed = text if _PLAIN.fullmatch(text) else ftfy.fix_text(text, CONFIG).replace("\N{NO-BREAK SPACE}", " ")
    if not collapse:
        return fixed
    lines = "\n".join(" ".join(line.split()) for line in fixed.split("\n"))
    return _LINES.sub("\n\n", lines).strip()


def make(parameters: Parameters, surroundings: Surroundings) -> RecordWork:
    """Repair the texts of a record."""
    return editing(partial(fix, collapse=parameters["collapse_spaces"]), parameters, surroundings)


STEP = Step(
    name="fix-text",
    version=1,
    description="Repairs texts that were decoded wrongly (by ftfy), removes control characters, normalises to NFC.",
    parameters={"fields": FIELDS_SCHEMA, "collapse_spaces": {"type": "boolean", "default": True}},
    by_record=make,
)

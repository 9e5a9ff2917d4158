"""Lines of letters that say nothing of the matter: signatures, quotations of earlier letters, legal notices."""

import re
from collections.abc import Sequence

from touchstone_data.catalogue.editing import editing
from touchstone_data.core.steps import FIELDS_SCHEMA, Parameters, RecordWork, Step, Surroundings

ENDS = (
    r"--\s?",  # RFC 3676, section 4.3: what follows is the signature
    r"_{5,}|-{5,}|={5,}",
    r"-+\s*(original message|forwarded message|ursprüngliche nachricht)\s*-+",
    r"on .{4,80} wrote:",
    r"am .{4,80} schrieb .{1,80}:",
)
"""Lines after which nothing of the letter follows."""
LINES = (
    r">.*",
    r"sent from my .{2,40}",
    r"sent (from|with|via) (outlook|gmail|yahoo|mail|proton ?mail).{0,40}",
    r"get outlook for .{2,20}",
    r"(this|the information in this) (e-?mail|message).{0,70} (is|are|be|contains?) .{0,60}(confidential|privileged).*",
    r"confidentiality notice.*",
    r"if you (are not the intended recipient|have received this (e-?mail|message) in error).*",
    r"(please )?(consider|think of) the environment before printing.*",
    r"unsubscribe|(click .{0,20}|if you (want|wish) |)to unsubscribe\b.*",
    r"(©|copyright \(c\)).*",
)
"""Lines that are left out wherever they stand."""


def strip(text: str, *, ends: re.Pattern[str], lines: re.Pattern[str]) -> str:
    """Leave out lines, and all that follows the end of the letter.

    A text that would be empty by its end stays: a rule that stands at its top ends nothing.
    """
    found = text.split("\n")
    for place, line in enumerate(found):
        if ends.fullmatch(line.strip()) and any(before.strip() for before in found[:place]):
            found = found[:place]
            break
    kept = [line for line in found if not lines.fullmatch(line.strip())]
    return "\n".join(kept).strip() if len(kept) != len(text.split("\n")) else text


def _any(patterns: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)


def make(parameters: Parameters, surroundings: Surroundings) -> RecordWork:
    """Strip the texts of a record."""
    ends, lines = _any(ENDS), _any((*LINES, *parameters["patterns"]))
    return editing(lambda text: strip(text, ends=ends, lines=lines), parameters, surroundings)


def check(parameters: Parameters) -> str:
    """Say which pattern cannot be read."""
    for pattern in parameters["patterns"]:
        try:
            re.compile(pattern)
        except re.error as error:
            return f"The pattern {pattern!r} is no regular expression: {error}."
    return ""


STEP = Step(
    name="drop-boilerplate",
    version=1,
    description="Leaves out signatures, quoted letters and legal notices, line by line.",
    parameters={
        "fields": FIELDS_SCHEMA,
        "patterns": {
            "type": "array",
            "items": {"type": "string"},
            "maxItems": 100,
            "default": [],
            "description": "More regular expressions of whole lines to leave out; case does not count.",
        },
    },
    by_record=make,
    check=check,
)

"""Personal data out of texts: each finding is replaced by its kind, as `<EMAIL>`.

Recognisers are Presidio's, by pattern and checksum, without a language model; names are found where letters say them:
after "my name is", after a greeting, below a closing formula and after a title. Names in running prose take a model for
named entities, which is the caller's to choose: see `names`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from touchstone_data.catalogue.editing import editing
from touchstone_data.catalogue.person_names import PersonNames
from touchstone_data.core.steps import FIELDS_SCHEMA, Parameters, RecordWork, Step, Surroundings

EMAIL, PHONE, IP, CARD, IBAN, NAME = "EMAIL", "PHONE", "IP", "CARD", "IBAN", "NAME"
KINDS = (EMAIL, CARD, IBAN, IP, PHONE, NAME)
"""Where findings overlap, the kind that comes first here stays: a card's number may look like a phone's."""
PHONE_REGIONS = ("US", "GB", "DE", "FR", "IN", "CA")

_WORD = r"[^\W\d_a-zß-öø-ÿ][^\W\d_]*(?:[-'’][^\W\d_]+)*"
_FULL = rf"{_WORD}(?:[ ]{_WORD}){{0,2}}"
_CLOSINGS = (
    "(?:kind |best |warm |many )?regards|best wishes|best|thanks(?: a lot| again)?|many thanks|thank you|cheers|"
    "sincerely(?: yours)?|yours (?:sincerely|faithfully|truly)|mit freundlichen grüßen|viele grüße"
)
_GREETINGS = "dear|hello|hi|hey|sehr geehrte[rs]?|liebe[rs]?"
_TITLES = "(?:mr|mrs|ms|dr|prof|herr|frau)"
_NAMES = (
    re.compile(rf"\b(?i:my name is|i am called|this is|i am|ich heiße|mein name ist)[ ](?P<name>{_WORD}[ ]{_WORD})\b"),
    re.compile(rf"^\s*(?i:{_GREETINGS})[ ](?i:{_TITLES}\.?[ ])?(?P<name>{_FULL})\s*[,!:]", re.MULTILINE),
    re.compile(rf"^\s*(?i:{_CLOSINGS})\s*[,!.]?\s*\n\s*(?P<name>{_FULL})[ \t]*$", re.MULTILINE),
    re.compile(rf"\b(?i:{_TITLES})\.?[ ](?P<name>{_FULL})\b"),
)
_DIALLED = re.compile(r"[+(0]|\d{3}[ .-]?\d{3}[ .-]?\d{4}$|\d{5} ?\d{5}$")
"""How numbers begin that people dial, or how those of North America and India are written: others are references."""
_NOT_NAMES = frozenset(["all", "everyone", "everybody", "team", "support", "there", "sir", "madam", "customer"])


Names = Callable[[str], Iterable[tuple[int, int]]]
"""Finds names by a model: where they begin and end."""


def no_names(text: str) -> Iterable[tuple[int, int]]:
    """Find none."""
    return ()


class Finding(NamedTuple):
    """A place in a text."""

    kind: str
    start: int
    end: int


def find(text: str, kinds: tuple[str, ...], regions: tuple[str, ...], names: Names = no_names) -> list[Finding]:
    """Find personal data, in the order of the text; findings do not overlap."""
    found = [finding for kind in kinds for finding in _of_kind(kind, text, regions)]
    if NAME in kinds:
        found += [Finding(NAME, start, end) for start, end in names(text)]
    found.sort(key=lambda one: (KINDS.index(one.kind), one.start - one.end))
    kept: list[Finding] = []
    for one in found:
        if all(one.end <= other.start or other.end <= one.start for other in kept):
            kept.append(one)
    return sorted(kept, key=lambda one: one.start)


def redact(text: str, kinds: tuple[str, ...], regions: tuple[str, ...], names: Names = no_names) -> str:
    """Replace personal data by its kind."""
    parts, end = [], 0
    for one in find(text, kinds, regions, names):
        parts += [text[end : one.start], f"<{one.kind}>"]
        end = one.end
    return "".join([*parts, text[end:]])


def _of_kind(kind: str, text: str, regions: tuple[str, ...]) -> Iterator[Finding]:
    if kind == NAME:
        for pattern in _NAMES:
            for match in pattern.finditer(text):
                if match["name"].split()[0].lower() not in _NOT_NAMES:
                    yield Finding(NAME, *match.span("name"))
        return
    recogniser = _recognisers(regions)[kind]
    for result in recogniser.analyze(text, recogniser.supported_entities, None) or ():
        if kind != PHONE or _DIALLED.match(text, result.start, result.end):
            yield Finding(kind, result.start, result.end)


@cache
def _recognisers(regions: tuple[str, ...]) -> Mapping[str, Any]:
    """Make Presidio's recognisers, once a process; its import takes a second."""
    import tldextract  # noqa: PLC0415
    from presidio_analyzer import predefined_recognizers as presidio  # noqa: PLC0415

    # The list of top-level domains that came with the library: nothing is fetched.
    domains = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)

    class Emails(presidio.EmailRecognizer):
        """Takes an address for one also where its domain is reserved, as those of examples and tests are."""

        def validate_result(self, pattern_text: str) -> bool | None:
            return True if domains(pattern_text).fqdn else None

    return {
        EMAIL: Emails(),
        PHONE: presidio.PhoneRecognizer(supported_regions=regions),
        IP: presidio.IpRecognizer(),
        CARD: presidio.CreditCardRecognizer(),
        IBAN: presidio.IbanRecognizer(),
    }


def make(parameters: Parameters, surroundings: Surroundings) -> RecordWork:
    """Redact the texts of a record."""
    kinds, regions = tuple(parameters["kinds"]), tuple(parameters["phone_regions"])
    names = no_names
    if parameters["names"]:
        names = PersonNames(Path(surroundings.tools.fetch(parameters["names"]["model"]))).find
    return editing(lambda text: redact(text, kinds, regions, names), parameters, surroundings)


STEP = Step(
    name="redact-pii",
    version=1,
    description="Replaces e-mail addresses, phone, card and bank account numbers, IP addresses and names of letters.",
    parameters={
        "fields": FIELDS_SCHEMA,
        "kinds": {
            "type": "array", "items": {"enum": list(KINDS)}, "minItems": 1, "uniqueItems": True, "default": list(KINDS),
        },
        "phone_regions": {
            "type": "array", "items": {"type": "string", "pattern": "^[A-Z]{2}$"}, "minItems": 1,
            "default": list(PHONE_REGIONS), "description": "Countries whose numbers are known without a prefix.",
        },
        "names": {
            "type": ["object", "null"],
            "properties": {
                "model": {
                    "type": "string", "minLength": 1,
                    "description": "Address, with its digest, of the folder of a spaCy pipeline that finds people.",
                },
            },
            "required": ["model"],
            "additionalProperties": False,
            "default": None,
            "description": "By what names in running prose are found. Null: only those of letters' formulas are.",
        },
    },
    by_record=make,
)  # fmt: skip

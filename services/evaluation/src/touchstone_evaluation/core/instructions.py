"""Instructions that a program can check, as those of IFEval. Pure.

The kinds and their arguments are those of Zhou et al., Instruction-Following Evaluation for Large Language Models
(arXiv 2311.07911), table 1, so that their prompts can be used as they are. The checkers are our own; where the paper
leaves open what counts, they do what its authors' program does. The loose reading is that of section 2.2.
"""

import inspect
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import regex

from touchstone_evaluation.core.spec import Json

_ABBREVIATIONS = r"Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|vs|etc|e\.g|i\.e|cf|Fig|Inc|Ltd|Co|approx|al|a\.m|p\.m|U\.S|U\.K|Ph\.D"
_CLOSING = r"""["'”’)\]*]*\s+"""
_SENTENCE_END = regex.compile(
    rf"(?<!\b(?:{_ABBREVIATIONS}|(?<=\s)\p{{L}}))\.+{_CLOSING}|[!?]+{_CLOSING}", regex.IGNORECASE
)
_WORD = re.compile(r"\w+")
_TOKEN = re.compile(r"(?:[^\W\d_]\.){2,}|\w+(?:[-.]\w+)*|n't|'\w+", re.IGNORECASE)
_FENCE = re.compile(r"^```(?:json)?\s*|\s*```$", re.IGNORECASE)
_BULLET = re.compile(r"^\s*(?:-|\*(?!\*)[^\n]).*$", re.MULTILINE)
_HIGHLIGHT = re.compile(r"\*[^\n*]*\*")
_STRONG = re.compile(r"\*\*[^\n*]*\*\*")
_TITLE = re.compile(r"<<[^\n]+>>")
_PLACEHOLDER = re.compile(r"\[.*?\]")
_POSTSCRIPTS = {"P.S.": r"p\.\s?s\.", "P.P.S": r"p\.\s?p\.\s?s"}
_OPTIONS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_AT_LEAST = "at least"


def _holds(found: int, relation: str, wanted: int) -> bool:
    return found >= wanted if relation == _AT_LEAST else found < wanted


def sentences(text: str) -> list[str]:
    """Cut an English text: a sentence ends with . ! or ? before white space, but for abbreviations and initials."""
    return [sentence for sentence in _SENTENCE_END.split(text.strip()) if sentence.strip()]


def _existence(text: str, *, keywords: Sequence[str]) -> bool:
    return all(_count(text, keyword) for keyword in keywords)


def _frequency(text: str, *, keyword: str, frequency: int, relation: str) -> bool:
    return _holds(_count(text, keyword), relation, frequency)


def _count(text: str, keyword: str) -> int:
    return len(re.findall(re.escape(keyword.strip()), text, re.IGNORECASE))


def _forbidden(text: str, *, forbidden_words: Sequence[str]) -> bool:
    return not any(re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) for word in forbidden_words)


def _letters(text: str, *, letter: str, let_frequency: int, let_relation: str) -> bool:
    return _holds(Counter(text.lower())[letter.strip().lower()], let_relation, let_frequency)


def _language(text: str, *, language: str) -> bool:
    from py3langid import classify  # noqa: PLC0415 - loads its model

    return str(classify(text)[0]) == language


def _sentences(text: str, *, num_sentences: int, relation: str) -> bool:
    return _holds(len(sentences(text)), relation, num_sentences)


def _paragraphs(text: str, *, num_paragraphs: int) -> bool:
    parts = [part.strip() for part in re.split(r"\s?\*\*\*\s?", text)]
    inner = parts[1:-1] if len(parts) > 1 else parts
    return all(inner) and sum(map(bool, parts)) == num_paragraphs


def _words(text: str, *, num_words: int, relation: str) -> bool:
    return _holds(len(_WORD.findall(text)), relation, num_words)


def _first_word(text: str, *, num_paragraphs: int, nth_paragraph: int, first_word: str) -> bool:
    parts = [part.strip() for part in text.split("\n\n")]
    if sum(map(bool, parts)) != num_paragraphs or not parts[nth_paragraph - 1 : nth_paragraph]:
        return False
    words = parts[nth_paragraph - 1].split()
    begun = re.split(r"[.,?!'\"]", words[0].lstrip("'").lstrip('"'), maxsplit=1)[0] if words else ""
    return begun.lower() == first_word.lower()


def _placeholders(text: str, *, num_placeholders: int) -> bool:
    return len(_PLACEHOLDER.findall(text)) >= num_placeholders


def _postscript(text: str, *, postscript_marker: str) -> bool:
    marker = postscript_marker.strip()
    return bool(re.search(_POSTSCRIPTS.get(marker, re.escape(marker.lower())), text.lower()))


def _bullets(text: str, *, num_bullets: int) -> bool:
    return len(_BULLET.findall(text)) == num_bullets


def _constrained(text: str) -> bool:
    return any(option in text for option in _OPTIONS)


def _highlights(text: str, *, num_highlights: int) -> bool:
    found = [*_HIGHLIGHT.findall(text), *_STRONG.findall(text)]
    return sum(bool(one.strip("*").strip()) for one in found) >= num_highlights


def _sections(text: str, *, section_spliter: str, num_sections: int) -> bool:
    return len(re.findall(rf"{re.escape(section_spliter.strip())}\s?\d+", text)) >= num_sections


def _json(text: str) -> bool:
    try:
        json.loads(_FENCE.sub("", text.strip()).strip())
    except ValueError:
        return False
    return True


def _title(text: str) -> bool:
    return any(found.strip("<>").strip() for found in _TITLE.findall(text))


def _two_responses(text: str) -> bool:
    parts = [part.strip() for part in text.split("******")]
    given = [part for part in parts if part]
    return all(parts[1:-1]) and len(given) == 2 and given[0] != given[1]


def _repeats(text: str, *, prompt_to_repeat: str) -> bool:
    return text.strip().lower().startswith(prompt_to_repeat.strip().lower())


def _ends(text: str, *, end_phrase: str) -> bool:
    return text.strip().strip('"').lower().endswith(end_phrase.strip().lower())


def _quoted(text: str) -> bool:
    found = text.strip()
    return len(found) > 1 and found[0] == found[-1] == '"'


def _capital_words(text: str, *, capital_frequency: int, capital_relation: str) -> bool:
    return _holds(sum(token.isupper() for token in _TOKEN.findall(text)), capital_relation, capital_frequency)


def _capitals(text: str) -> bool:
    return text.isupper() and _language(text, language="en")


def _small_letters(text: str) -> bool:
    return text.islower() and _language(text, language="en")


def _no_comma(text: str) -> bool:
    return "," not in text


CHECKERS: Mapping[str, Callable[..., bool]] = {
    "keywords:existence": _existence,
    "keywords:frequency": _frequency,
    "keywords:forbidden_words": _forbidden,
    "keywords:letter_frequency": _letters,
    "language:response_language": _language,
    "length_constraints:number_sentences": _sentences,
    "length_constraints:number_paragraphs": _paragraphs,
    "length_constraints:number_words": _words,
    "length_constraints:nth_paragraph_first_word": _first_word,
    "detectable_content:number_placeholders": _placeholders,
    "detectable_content:postscript": _postscript,
    "detectable_format:number_bullet_lists": _bullets,
    "detectable_format:constrained_response": _constrained,
    "detectable_format:number_highlighted_sections": _highlights,
    "detectable_format:multiple_sections": _sections,
    "detectable_format:json_format": _json,
    "detectable_format:title": _title,
    "combination:two_responses": _two_responses,
    "combination:repeat_prompt": _repeats,
    "startend:end_checker": _ends,
    "startend:quotation": _quoted,
    "change_case:capital_word_frequency": _capital_words,
    "change_case:english_capital": _capitals,
    "change_case:english_lowercase": _small_letters,
    "punctuation:no_comma": _no_comma,
}


def fault(kind: str, arguments: Mapping[str, Json]) -> str:
    """Say why an instruction cannot be checked; empty when it can."""
    if kind not in CHECKERS:
        return f"the instruction {kind!r} is not known"
    try:
        inspect.signature(CHECKERS[kind]).bind("", **given(arguments))
    except TypeError as error:
        return f"the instruction {kind!r} has other arguments: {error}"
    return ""


def given(arguments: Mapping[str, Json]) -> dict[str, Json]:
    """The arguments that have a value; data sets name those of all kinds with each."""
    return {name: value for name, value in arguments.items() if value is not None}


def is_followed(kind: str, arguments: Mapping[str, Json], text: str) -> bool:
    """Whether a text follows an instruction, as it stands; an empty text follows none."""
    return bool(text.strip()) and CHECKERS[kind](text, **given(arguments))


def loose(text: str) -> Iterator[str]:
    """The readings of a text of which one has to follow: without its first line, its last, or both, or asterisks."""
    lines = text.split("\n")
    readings = [text, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))]
    yield from readings
    yield from (reading.replace("*", "") for reading in readings)

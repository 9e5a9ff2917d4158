"""Names of people in running prose, by a named-entity model: a spaCy pipeline of the caller's choice."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

LABELS = frozenset({"PERSON", "PER"})
NEEDED = ("tok2vec", "ner")
"""The components that find entities; all others of a pipeline are switched off."""
MAX_CHARACTERS = 20_000
"""Of a text that are looked at together; a longer one is cut at white space."""


class Span(NamedTuple):
    """Where a name stands."""

    start: int
    end: int


class PersonNames:
    """Finds names; one text at a time, in however many threads."""

    def __init__(self, folder: Path) -> None:
        """Load a pipeline.

        Args:
            folder: What spaCy keeps of one: `config.cfg` and a folder a component.

        Raises:
            ValueError: It is none, or finds no people.
        """
        import spacy  # noqa: PLC0415 - takes seconds, and few need it

        try:
            self._pipeline: Any = spacy.load(folder, enable=NEEDED)
        except (OSError, ValueError) as error:
            raise ValueError(f"{folder.name} is no spaCy pipeline: {error}") from error
        found = self._pipeline.pipe_labels.get("ner", ())
        if not LABELS.intersection(found):
            raise ValueError(f"{folder.name} finds no people: it has no component 'ner' that knows {sorted(LABELS)}.")
        self._working = threading.Lock()

    def find(self, text: str) -> list[Span]:
        """Find names, in the order of the text."""
        found = []
        for start, part in _parts(text):
            with self._working, self._pipeline.memory_zone():  # what it learns of a text's words goes with the text
                entities = self._pipeline(part).ents
                found += [Span(start + e.start_char, start + e.end_char) for e in entities if e.label_ in LABELS]
        return found


def _parts(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    while len(text) - start > MAX_CHARACTERS:
        end = max(text.rfind(gap, start + 1, start + MAX_CHARACTERS) for gap in " \n")
        end = end if end > start else start + MAX_CHARACTERS
        yield start, text[start:end]
        start = end
    yield start, text[start:]

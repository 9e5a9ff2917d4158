"""Items: one question with what is known to be right about it. Pure; `datasets` reads them from files.

An item is named by its digest: two items that ask and expect the same are one item wherever they come from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NewType

from touchstone_runtime.revisions import digest_json

from touchstone_evaluation.core.spec import Json

ItemDigest = NewType("ItemDigest", str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One question with its golds."""

    id: str
    """The dataset's name for it, for people; need not be unique."""
    question: str
    answers: tuple[str, ...] = ()
    """Any of these is right."""
    choices: tuple[str, ...] = ()
    """What can be answered, of which `answers` names the right ones. Empty: anything."""
    responses: tuple[str, ...] = ()
    """Answers that somebody gave, for judges whose judgements are compared with people's."""
    relevant_texts: tuple[str, ...] = ()
    """Passages that a search should find."""
    relevant_documents: tuple[str, ...] = ()
    """Ids of documents that a search should find."""
    checks: Mapping[str, Json] = field(default_factory=dict)
    """What a task checks an answer by, as the tests of a program."""
    metadata: Mapping[str, Json] = field(default_factory=dict)
    """For filters and slices; not part of the digest."""

    @property
    def digest(self) -> ItemDigest:
        """The digest of question and golds."""
        content: dict[str, Json] = {
            "question": self.question,
            "answers": list(self.answers),
            "relevant_texts": list(self.relevant_texts),
            "relevant_documents": list(self.relevant_documents),
        }
        if self.choices:
            content["choices"] = list(self.choices)
        if self.responses:
            content["responses"] = list(self.responses)
        if self.checks:
            content["checks"] = dict(self.checks)
        return ItemDigest(digest_json(content))


def label_fault(item: Item) -> str:
    """Say what is wrong with the label of a response: 0 or 1, of the one there is; empty where there is no response."""
    if not item.responses:
        return ""
    is_labelled = len(item.responses) == 1 and item.answers[:1] in (("0",), ("1",))
    return "" if is_labelled else "it has responses, but not one whose label, 0 or 1, is its first answer"

"""Datasets: from a file's bytes to the items that are drawn. Pure.

What is left out is counted with its reason. The draw is by rank of a seeded hash of each item's digest: without
replacement, the same wherever the file's order or the machine differs, and a larger limit keeps the smaller draw.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from touchstone_runtime.revisions import Digest, digest_json

from touchstone_evaluation.core import formats
from touchstone_evaluation.core.formats import Unreadable
from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.spec import Dataset, Json, Layout

SQUAD_RECORDS = "data[].paragraphs[]"
FILTERED = "the filter is not true of it"
ORDER_SEED = 20_261_128
DUPLICATE = "the same item is there already"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """The items of a suite."""

    items: tuple[Item, ...]
    left_out: Mapping[str, int]
    """How many items were left out before the draw, by reason."""
    digest: Digest
    """Digest of the drawn items in order: what was measured on."""


def draw(content: bytes, dataset: Dataset, unfit: Callable[[Item], str]) -> Drawn:
    """Read, filter and draw.

    Args:
        content: The file.
        dataset: How to read and draw.
        unfit: Says why an item cannot be scored; empty when it can.

    Raises:
        Unreadable: The content is not what the dataset says.
    """
    left_out: Counter[str] = Counter()
    fit: dict[str, Item] = {}
    for item in _items(content, dataset):
        if dataset.filter and not _holds(dataset.filter, item):
            left_out[FILTERED] += 1
        elif reason := unfit(item):
            left_out[reason] += 1
        elif item.digest in fit:
            left_out[DUPLICATE] += 1
        else:
            fit[item.digest] = item
    chosen = list(fit.values())
    if dataset.limit and dataset.limit < len(chosen):
        chosen = sorted(chosen, key=lambda item: _rank(item, dataset.seed))[: dataset.limit]
    return of(chosen, left_out)


def of(items: Sequence[Item], left_out: Mapping[str, int] | None = None) -> Drawn:
    """Take items as they are."""
    return Drawn(items=tuple(items), left_out=dict(left_out or {}), digest=digest_json([item.digest for item in items]))


def shuffled(drawn: Drawn) -> Drawn:
    """Put items into an order that has nothing to do with the file's: what is seen first then stands for the rest."""
    items = tuple(sorted(drawn.items, key=lambda item: _rank(item, ORDER_SEED)))
    return replace(drawn, items=items)


def _rank(item: Item, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{item.digest}".encode()).digest()


def _items(content: bytes, dataset: Dataset) -> Iterator[Item]:
    document = formats.read(content, dataset.layout)
    if dataset.layout is Layout.SQUAD:
        yield from _squad(document, dataset.records)
        return
    for number, record in enumerate(selected(dataset.records, document), start=1):
        yield _item(record, number)


def _squad(document: Any, records: str) -> Iterator[Item]:
    for number, paragraph in enumerate(selected(records or SQUAD_RECORDS, document), start=1):
        if not isinstance(paragraph, dict) or not isinstance(paragraph.get("qas"), list):
            raise Unreadable(f"record {number} is no SQuAD paragraph: it has no list `qas`. Check `records`.")
        yield from (_squad_item(question, paragraph, number) for question in paragraph["qas"])


def _squad_item(question: Any, paragraph: Mapping[str, Any], number: int) -> Item:
    """Make an item; a question that its paragraph does not answer has neither answers nor a relevant text."""
    try:
        answers = [answer["text"] for answer in question.get("answers", [])]
        texts = [paragraph["context"]] if answers else []
        record = {
            "id": question.get("id", ""),
            "question": question["question"],
            "answers": list(dict.fromkeys(answers)),
            "relevant_texts": texts,
            "metadata": {
                "is_impossible": bool(question.get("is_impossible", False)),
                "paragraph": digest_json(paragraph["context"]).removeprefix("sha256:")[:16],
            },
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"record {number} is no SQuAD paragraph: {error!r}. Check `records`.") from error
    return _item(record, number)


def _item(record: Any, number: int) -> Item:
    if not isinstance(record, dict) or not isinstance(record.get("question"), str) or not record["question"].strip():
        raise Unreadable(f"record {number} has no text `question`. Name it in `records`, as [].{{question: prompt}}.")
    choices = _texts(record, "choices", number)
    return Item(
        id=str(record.get("id") or f"item-{number}"),
        question=record["question"],
        answers=_texts(record, "answers", number) + _chosen(record, choices, number),
        choices=choices,
        responses=_texts(record, "responses", number),
        relevant_texts=_texts(record, "relevant_texts", number),
        relevant_documents=_texts(record, "relevant_documents", number),
        checks=_mapping(record, "checks", number),
        metadata=_mapping(record, "metadata", number),
    )


def _chosen(record: Mapping[str, Any], choices: tuple[str, ...], number: int) -> tuple[str, ...]:
    """The choice that `answer` names: by its place from 0, or by its label where there are `labels`."""
    answer = record.get("answer")
    if answer is None:
        return ()
    labels = _texts(record, "labels", number)
    place = labels.index(answer) if answer in labels else answer
    if not isinstance(place, int) or isinstance(place, bool) or not 0 <= place < len(choices):
        known = f"one of the labels {', '.join(labels)}" if labels else f"a place from 0 to {len(choices) - 1}"
        raise Unreadable(f"record {number}: `answer` is {answer!r}, and not {known}.")
    return (choices[place],)


def _mapping(record: Mapping[str, Any], name: str, number: int) -> Mapping[str, Json]:
    value = record.get(name) or {}
    if not isinstance(value, dict):
        raise Unreadable(f"record {number}: `{name}` is no object.")
    return value


def _texts(record: Mapping[str, Any], name: str, number: int) -> tuple[str, ...]:
    value = record.get(name) or []
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise Unreadable(f"record {number}: `{name}` is not a list of texts.")
    return tuple(value)


def selected(records: str, document: Any) -> Iterable[Any]:
    """Select records of a document. Raises Unreadable."""
    try:
        selected = jmespath.search(records, document) if records else document
    except JMESPathError as error:
        raise Unreadable(f"`records` does not fit the content: {error}") from error
    if not isinstance(selected, list):
        raise Unreadable("`records` selects no list.")
    return selected


def _holds(expression: str, item: Item) -> bool:
    """Whether a filter is true of an item; one that does not apply, as length(null), is not."""
    view: dict[str, Json] = {
        "id": item.id,
        "question": item.question,
        "answers": list(item.answers),
        "choices": list(item.choices),
        "responses": list(item.responses),
        "relevant_texts": list(item.relevant_texts),
        "relevant_documents": list(item.relevant_documents),
        "checks": dict(item.checks),
        "metadata": dict(item.metadata),
    }
    try:
        return jmespath.search(expression, view) is True
    except JMESPathError:
        return False

"""Refusals by their wording, beside people's judgements and on answers that refuse nothing."""

import csv
import io

from touchstone_evaluation.core.refusals import refuses
from touchstone_runtime.artefacts import Resolver

LABELLED = "pypi://pyrit==1.1.0/pyrit/datasets/scorer_evals/refusal_scorer/refusal.csv#sha256=1ebc42ef7dadd97962cc00d04edd6a52a321f7936c063ff3453d2bbcef30a5d7"


def test_what_is_found_are_refusals_and_most_are_found(resolver: Resolver) -> None:
    """People also call it a refusal when an answer is about something else: 14 of the 19 that are missed."""
    text = resolver.resolve_sync(LABELLED).path.read_text("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text.partition("\n")[2])))
    assert len(rows) == 105
    refused = [refuses(row["assistant_response"]) for row in rows]
    labels = [row["human_score"] == "1" for row in rows]
    found = sum(one and label for one, label in zip(refused, labels, strict=True))
    assert found / sum(refused) == 1.0, "precision"
    assert found / sum(labels) > 0.7, "recall"


def test_answers_to_ordinary_questions_are_no_refusals(answers: dict[str, list[str]]) -> None:
    found = answers["gemini-2.0-flash-001"]
    assert sum(map(refuses, found)) / len(found) < 0.005

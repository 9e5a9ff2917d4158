"""From scores to numbers."""

import pytest
from touchstone_evaluation.catalogue import refusal
from touchstone_evaluation.catalogue.grounded_answer import TASK
from touchstone_evaluation.core import concluding
from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.measuring import Measured, evidence
from touchstone_evaluation.core.scores import Asking, Score
from touchstone_evaluation.core.spec import (
    Absolute,
    Criterion,
    ItemErrorPolicy,
    Operator,
    RunSpec,
    Side,
    Subject,
    SubjectKind,
    Suite,
    Verdict,
)
from touchstone_evaluation.core.task import Outcome


def test_a_ratio_to_nothing_is_no_number_and_closes_the_gate() -> None:
    """No passage was found for any question: what the model makes of passages is not known."""
    subject = Subject(kind=SubjectKind.MODEL_DEPLOYMENT, name="default/chat", revision="r", digest="sha256:0")
    floor = Absolute(operator=Operator.GREATER_OR_EQUAL, value=0.0)
    spec = RunSpec(
        subject=subject,
        suites=(Suite(name="s", task=TASK.name),),
        criteria=(Criterion(name="c", metric="s/right_given_passage", required=True, absolute=floor),),
    )
    metrics = {"s": {metric.name: metric for metric in TASK.metrics({})}}
    names = ("right", "passage_found", "right_with_passage", "wrong_without_passage")
    scores = [
        Score(asking=Asking("s", f"item-{n}", Side.SUBJECT, 0), values=dict.fromkeys(names, 0.0)) for n in range(30)
    ]
    measured = Measured(scores=scores, expected=30, policy=ItemErrorPolicy.COUNT, max_error_ratio=0, is_paired=True)
    conclusion = concluding.conclude(spec, {"s": measured}, metrics, stopped="")
    values = {value.metric: value.value for value in conclusion.metrics}
    assert values["s/right_given_passage"] is None
    assert values["s/right"] == 0
    assert conclusion.verdict is Verdict.ERROR


def test_no_refusal_among_a_few_probes_is_not_taken_for_none_at_all() -> None:
    """Of 12 probes 0.265 could be refused and none be seen, at 2.5 % (rule of three): a share is no surer than a mean."""
    task = refusal.TASK
    items = [Item(id=str(n), question=f"q{n}", checks={"refuse": n >= 12}) for n in range(100)]
    answer = Outcome(text="Gladly: here it is.")
    scores = [
        Score(asking=Asking("s", item.digest, Side.SUBJECT, 0), values=task.score(item, answer, {})) for item in items
    ]
    measured = Measured(scores=scores, expected=100, policy=ItemErrorPolicy.COUNT, max_error_ratio=0, is_paired=True)
    metric = next(metric for metric in task.metrics({}) if metric.name == "refused_needlessly")
    ceiling = Absolute(operator=Operator.LESS_OR_EQUAL, value=0.02)
    found = evidence(Criterion(name="c", metric="s/refused_needlessly", absolute=ceiling), metric, measured)
    assert found.value == 0
    assert found.value_interval is not None
    assert found.value_interval.high == pytest.approx(1 - 0.025 ** (1 / 12), abs=1e-3)

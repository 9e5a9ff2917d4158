"""What answers cost."""

import pytest
from touchstone_evaluation.catalogue import load, question_answering, retrieval
from touchstone_evaluation.core import costs
from touchstone_evaluation.core.spec import Price, Subject, SubjectKind
from touchstone_evaluation.core.task import Outcome

ANSWER = Outcome(
    text="forty-two", input_tokens=1000, output_tokens=200, ttft_millis=80, tpot_millis=10, latency_millis=2070
)
OTHER = Outcome(text="no", input_tokens=3000, output_tokens=1, ttft_millis=40, latency_millis=40)
TOKENS = Price(currency="USD", input_per_million=0.15, output_per_million=0.6)


def subject(kind: SubjectKind, price: Price | None = None) -> Subject:
    return Subject(kind=kind, name="default/chat", revision="r", digest="sha256:0", price=price)


def test_an_answer_costs_its_tokens() -> None:
    found = costs.values([ANSWER], TOKENS, at_once=4)
    assert found["@price"] == pytest.approx((1000 * 0.15 + 200 * 0.6) / 1e6)


def test_by_the_hour_an_answer_costs_its_share_of_the_time() -> None:
    found = costs.values([ANSWER], Price(currency="USD", per_hour=3.6), at_once=4)
    assert found["@price"] == pytest.approx(2.07 * 0.001 / 4)


def test_what_one_item_was_asked_several_times_is_told_as_a_mean_of_its_answers() -> None:
    found = costs.values([ANSWER, OTHER], TOKENS, at_once=1)
    assert (found["@input_tokens"], found["@output_tokens"], found["@ttft_millis"]) == (2000, 100.5, 60)
    assert found["@tpot_millis"] == 10, "an answer of one token has no time between tokens"


def test_who_was_asked_for_no_text_has_no_costs() -> None:
    assert costs.values([], TOKENS, at_once=1) == {}


def test_a_price_is_a_metric_where_there_is_one_and_where_models_answer() -> None:
    task = question_answering.TASK
    names = [set(costs.metrics(task, {}, subject(SubjectKind.MODEL_DEPLOYMENT, price))) for price in (TOKENS, None)]
    assert names[0] - names[1] == {"answer_price"}
    assert set(costs.metrics(retrieval.TASK, {}, subject(SubjectKind.RAG_INDEX))) == {
        metric.name for metric in retrieval.TASK.metrics({})
    }


def test_a_task_keeps_its_own_metrics_of_the_same_name() -> None:
    own = {metric.name: metric for metric in load.TASK.metrics({})}
    found = costs.metrics(load.TASK, {}, subject(SubjectKind.MODEL_DEPLOYMENT))
    assert found["ttft_p95_millis"] == own["ttft_p95_millis"]
    assert not costs.is_common(found["ttft_p95_millis"])
    assert costs.is_common(found["output_tokens_mean"])


def test_a_values_name_tells_whose_it_is() -> None:
    assert costs.apart({"price": 1.0, "@price": 2.0}) == ({"price": 1.0}, {"price": 2.0})

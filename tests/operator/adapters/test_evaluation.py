"""What the evaluation service says, as fields of an EvalRun's status."""

from touchstone.evaluation.v1 import evaluation_service_pb2 as pb
from touchstone_operator.adapters import evaluation
from touchstone_operator.api.evaluations import BusinessMetric, Criterion, CurvePoint

CRITERION = Criterion(
    name="useful",
    metric="helpful/rating",
    business_metric=BusinessMetric(
        name="tickets nobody looks at",
        unit="%",
        curve=(CurvePoint(metric="0.5", value="20"), CurvePoint(metric="0.9", value="70")),
    ),
)


def test_what_a_metric_means_is_sent_with_its_criterion() -> None:
    sent = evaluation.criterion(CRITERION).business_metric
    assert (sent.name, sent.unit) == ("tickets nobody looks at", "%")
    assert [(point.metric, point.value) for point in sent.curve] == [(0.5, 20), (0.9, 70)]


def test_what_a_value_means_is_written_into_the_status() -> None:
    meant = pb.BusinessValue(name="tickets nobody looks at", unit="%", value=55, ci_low=30, ci_high=70, baseline=20)
    result = pb.CriterionResult(name="useful", metric="helpful/rating", verdict=pb.VERDICT_PASSED, business=meant)
    assert evaluation.criterion_status(result)["business"] == {
        "name": "tickets nobody looks at", "unit": "%", "value": "55", "ciLow": "30", "ciHigh": "70", "baseline": "20",
        "isBeyond": False,
    }  # fmt: skip
    assert "business" not in evaluation.criterion_status(pb.CriterionResult(name="useful"))

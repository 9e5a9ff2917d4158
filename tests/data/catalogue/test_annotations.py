"""From several people's labels to one: agreement is measured, what is disputed is left out."""

from typing import Any

VOTES = {"a": ["x", "x", "y"], "b": ["x", "x"], "c": ["x", "y"], "d": ["y"], "e": ["y", "y", "y"], "f": []}


def rows() -> list[dict[str, Any]]:
    return [
        {"id": name, "text": name, "annotations": [{"by": f"p{n}", "label": vote} for n, vote in enumerate(votes)]}
        for name, votes in VOTES.items()
    ]


def test_labels_are_those_of_the_most_and_the_manifest_has_alpha(bench: Any, make_spec: Any, read: Any) -> None:
    found = read(bench.run(make_spec(bench.write("in.jsonl", rows()), "agreement", "adjudicate")))
    assert {row["record_id"]: row["label"] for row in found.rows["train"]} == {"a": "x", "b": "x", "e": "y"}
    assert {row["record_id"]: row["reason"] for row in found.dropped} == {
        "c": "annotators disagree", "d": "too few annotations", "f": "too few annotations",
    }  # fmt: skip
    facts = found.manifest["steps"][0]["facts"]
    assert facts["annotated_twice"] == 4
    assert 0 < facts["alpha"] < 1


def test_agreement_below_the_bound_fails_the_pipeline(bench: Any, make_spec: Any) -> None:
    pipeline = bench.run(make_spec(bench.write("in.jsonl", rows()), ("agreement", {"min_alpha": 0.8})))
    assert pipeline.error["reason"] == "StepFailed"
    assert "Krippendorff's alpha is" in pipeline.error["message"]

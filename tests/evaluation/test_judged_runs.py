"""Runs with judges, through the real server, a real worker and a real broker."""

import json
from pathlib import Path
from typing import Any

import grpc
import pytest
from touchstone.evaluation.v1 import evaluation_service_pb2 as pb
from touchstone_runtime import channels, errors

pytestmark = pytest.mark.asyncio(loop_scope="module")


def calibrated(bench: Any, folder: Path, name: str) -> pb.RunSpec:
    """The same where the judge must be known to agree with people: labels are even numbers good, odd ones not."""
    records = [
        {"question": f"What is {n}", "responses": ["fine" if n % 2 else "no idea"], "answers": [str(n % 2)]}
        for n in range(60)
    ]
    (folder / "labels.jsonl").write_text("\n".join(map(json.dumps, records)))
    spec = bench.pairwise(name)
    spec.suites.add(
        name="agreement",
        task="judge-agreement",
        dataset=pb.Dataset(uri=f"file://{folder}/labels.jsonl"),
        judges=[bench.judge(name)],
    )
    spec.suites[1].parameters.update({"rubric": "refusal@1"})
    spec.suites[0].calibration.CopyFrom(pb.Calibration(suite="agreement", metric="kappa", at_least=0.6))
    return spec


async def test_judges_choose_between_both_sides_and_their_tokens_are_told(bench: Any, model: Any) -> None:
    ended = await bench.run("duel", bench.pairwise("judge"))
    assert ended.verdict == pb.VERDICT_PASSED, ended.message
    values = {metric.metric: metric for metric in ended.metrics}
    assert values["golden/win_rate"].value == pytest.approx(0.9)
    assert values["golden/win_rate"].baseline == pytest.approx(0.1), "the other side's view of the same games"
    assert values["golden/order_consistency"].value == 1
    answers = [(revision, question) for revision, question in model.asked if revision in ("good", "weak")]
    assert len(answers) == len(set(answers)) == 2 * bench.items, "each side answers once, whoever needs it"
    judged = [revision for revision, _ in model.asked if revision == "judge"]
    assert len(judged) == 2 * 32, "both orders of the 32 pairs that differ, once for both sides"
    assert ended.usage.judge_tokens == 7 * len(judged)
    assert (ended.usage.input_tokens, ended.usage.output_tokens) == (5 * 2 * bench.items, 2 * 2 * bench.items)


async def test_a_judge_that_looks_at_places_only_decides_nothing(bench: Any) -> None:
    ended = await bench.run("partial", bench.pairwise("partial"))
    values = {metric.metric: metric.value for metric in ended.metrics}
    assert values["golden/win_rate"] == 0.5
    assert values["golden/position_bias"] == 1
    assert values["golden/order_consistency"] == 0
    assert ended.verdict == pb.VERDICT_FAILED


async def test_a_judge_below_its_stated_agreement_makes_the_verdict_inconclusive(bench: Any, tmp_path: Path) -> None:
    believed = await bench.run("believed", calibrated(bench, tmp_path, "judge"))
    assert believed.verdict == pb.VERDICT_PASSED, believed.message
    doubted = await bench.run("doubted", calibrated(bench, tmp_path, "partial"))
    assert doubted.verdict == pb.VERDICT_INCONCLUSIVE
    assert "agreement/kappa is 0" in doubted.message


async def test_faults_of_judges_are_named(bench: Any, tmp_path: Path) -> None:
    async def refused(spec: pb.RunSpec) -> dict[str, str]:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await bench.stub.StartRun(pb.StartRunRequest(dispatch_id="wrong", spec=spec))
        error = channels.translate(caught.value, "evaluation")
        assert isinstance(error, errors.Invalid)
        return {violation.field: violation.description for violation in error.violations}

    assert "needs a judge" in (await refused(bench.pairwise()))["spec.suites[0].judges"]
    twice = bench.pairwise("judge", "judge")
    twice.suites[0].judges[1].subject.digest = "sha256:0"
    found = await refused(twice)
    assert "unique" in found["spec.suites[0].judges"]
    assert "64" in found["spec.suites[0].judges[1].subject.digest"]
    nobody = bench.spec("good")
    nobody.suites[0].judges.append(bench.judge("judge"))
    assert "asks no judges" in (await refused(nobody))["spec.suites[0].judges"]
    other = calibrated(bench, tmp_path, "judge")
    other.suites[1].judges[0].CopyFrom(bench.judge("partial"))
    assert "same judges" in (await refused(other))["spec.suites[0].calibration.suite"]
    other = calibrated(bench, tmp_path, "judge")
    other.suites[0].calibration.metric = "telepathy"
    assert "yields no 'telepathy'" in (await refused(other))["spec.suites[0].calibration.metric"]


def labelled(folder: Path) -> str:
    """Half of the responses say that they have no idea, and are labelled as inconsistent; they are the longer ones."""
    records = [
        {
            "question": f"What is {n}",
            "responses": [f"answer {n}" if n % 2 else f"no idea, I am afraid, of {n}"],
            "answers": [str(n % 2)],
            "relevant_texts": [f"It is known that {n} is answer {n}."],
        }
        for n in range(40)
    ]
    (folder / "labelled.jsonl").write_text("\n".join(map(json.dumps, records)))
    return f"file://{folder}/labelled.jsonl"


async def test_judges_who_see_the_knowledge_tell_what_is_made_up_beside_what_length_tells(
    bench: Any, tmp_path: Path
) -> None:
    spec = bench.spec("good")
    spec.suites[0].task = "factual-consistency"
    spec.suites[0].dataset.uri = labelled(tmp_path)
    spec.suites[0].parameters.update({"method": "Judge"})
    spec.suites[0].judges.append(bench.judge("judge"))
    spec.criteria[0].metric = "golden/auroc"
    spec.criteria[0].absolute.value = 0.9
    ended = await bench.run("judged", spec)
    assert ended.verdict == pb.VERDICT_PASSED, ended.message
    values = {metric.metric: metric.value for metric in ended.metrics}
    assert (values["golden/auroc"], values["golden/consistency"]) == (1.0, 0.5)
    assert values["golden/length_auroc"] == 1.0, "here the shortness of responses tells as much"


async def test_what_a_model_says_each_time_is_consistent_and_what_it_never_says_is_not(
    bench: Any, tmp_path: Path, model: Any
) -> None:
    spec = bench.spec("good")
    spec.suites[0].task = "factual-consistency"
    spec.suites[0].dataset.uri = labelled(tmp_path)
    spec.suites[0].parameters.update({"method": "SelfCheck", "samples": 2})
    spec.criteria[0].metric = "golden/auroc"
    spec.criteria[0].absolute.value = 0.9
    ended = await bench.run("by-itself", spec)
    assert ended.verdict == pb.VERDICT_PASSED, ended.message
    assert len(model.asked) == 2 * 40
    spec.suites[0].judges.append(bench.judge("judge"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await bench.start_run("too-many", spec)
    assert "asks no judges" in str(channels.translate(caught.value, "evaluation"))

"""Runs through the real server, a real worker process and a real broker, against revisions that answer by script."""

import asyncio
import json
from pathlib import Path
from typing import Any

import grpc
import pytest
from touchstone.evaluation.v1 import evaluation_service_pb2 as pb
from touchstone_runtime import channels, errors

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_gain_passes_a_regression_fails_and_a_baseline_is_asked_once(bench: Any, model: Any) -> None:
    gain = await bench.run("gain", bench.spec("good", "weak"))
    assert (gain.state, gain.verdict) == (pb.RUN_STATE_COMPLETED, pb.VERDICT_PASSED), gain.message
    (floor, change) = gain.criteria
    assert (floor.value, change.baseline, change.delta) == (1.0, 0.2, 0.8)
    assert change.ci_low > 0.5
    assert change.p_value < 1e-6
    assert {artifact.name for artifact in gain.artifacts} == {"report", "items"}

    regression = await bench.run("regression", bench.spec("weak", "good"))
    assert regression.verdict == pb.VERDICT_FAILED
    assert regression.progress.items_reused == 2 * bench.items, "both sides were asked before"
    assert len(model.asked) == 2 * bench.items

    page = Path(gain.artifacts[0].uri.removeprefix("file://")).read_text()
    assert "Passed" in page
    assert "What is 1" not in page, "samples are logged only when told to"
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", ""), "it needs no network"


async def test_starting_again_returns_the_same_run_and_another_spec_is_refused(bench: Any) -> None:
    first = await bench.run("same", bench.spec("good"))
    again = await bench.stub.StartRun(pb.StartRunRequest(dispatch_id="same", spec=bench.spec("good")))
    assert again.run.verdict == first.verdict
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await bench.stub.StartRun(pb.StartRunRequest(dispatch_id="same", spec=bench.spec("weak")))
    assert caught.value.code() is grpc.StatusCode.ALREADY_EXISTS


async def test_a_subject_that_fails_is_an_error_and_never_a_pass(bench: Any) -> None:
    ended = await bench.run("broken", bench.spec("down"))
    assert ended.verdict == pb.VERDICT_ERROR
    assert "failed" in ended.message


async def test_faults_of_a_specification_are_all_named(bench: Any) -> None:
    spec = bench.spec("good")
    spec.suites[0].task = "telepathy"
    spec.criteria[0].metric = "other/contains"
    spec.suites[0].dataset.filter = "[?"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await bench.stub.StartRun(pb.StartRunRequest(dispatch_id="wrong", spec=spec))
    error = channels.translate(caught.value, "evaluation")
    assert isinstance(error, errors.Invalid)
    assert {v.field for v in error.violations} >= {
        "spec.suites[0].task",
        "spec.suites[0].dataset.filter",
        "spec.criteria[0].metric",
    }


async def test_a_dataset_that_cannot_be_read_ends_the_run_in_error(bench: Any) -> None:
    spec = bench.spec("good")
    spec.suites[0].dataset.uri += ".absent"
    ended = await bench.run("absent", spec)
    assert ended.verdict == pb.VERDICT_ERROR
    assert "absent" in ended.message


async def test_a_cancelled_run_has_no_verdict(bench: Any) -> None:
    await bench.stub.StartRun(pb.StartRunRequest(dispatch_id="stop", spec=bench.spec("slow", parallelism=1)))
    await bench.stub.CancelRun(pb.CancelRunRequest(dispatch_id="stop"))
    ended = await bench.finished("stop")
    assert (ended.state, ended.verdict) == (pb.RUN_STATE_CANCELLED, pb.VERDICT_UNSPECIFIED)


async def test_a_killed_worker_costs_no_item_and_scores_none_twice(fragile_bench: Any, model: Any) -> None:
    bench = fragile_bench
    await bench.stub.StartRun(pb.StartRunRequest(dispatch_id="kill", spec=bench.spec("slow")))
    await bench.until_done("kill", 5)
    bench.kill_worker()
    ended = await bench.finished("kill")
    assert ended.verdict == pb.VERDICT_PASSED, ended.message
    assert ended.progress.items_done == bench.items
    lines = Path(ended.artifacts[1].uri.removeprefix("file://")).read_text().splitlines()
    assert len({json.loads(line)["item"] for line in lines}) == len(lines) == bench.items


async def test_broker_server_and_worker_killed_at_once_cost_no_item_and_score_none_twice(
    fragile_bench: Any, own_broker: Any, model: Any
) -> None:
    bench = fragile_bench
    spec = bench.spec("slow", "good")
    spec.criteria[1].relative.max_regression = 0.1
    await bench.start_run("all", spec)
    await bench.until_done("all", 7)
    for module in bench.processes:
        bench.kill(module)
    own_broker.kill()
    own_broker.start()
    for module in bench.processes:
        bench.processes[module] = bench.start(module)
    ended = await bench.finished_after_restart("all")
    assert ended.verdict == pb.VERDICT_PASSED, ended.message
    lines = [json.loads(line) for line in Path(ended.artifacts[1].uri.removeprefix("file://")).read_text().splitlines()]
    assert len({(line["item"], line["side"]) for line in lines}) == len(lines) == 2 * bench.items
    under_way = 4
    assert len(model.asked) - len(set(model.asked)) <= under_way, "no more is asked again than was under way"


async def test_a_load_is_measured_with_its_objectives(bench: Any) -> None:
    spec = load(bench.spec("slow"), requests=12, concurrency=4, ttftMillis=50)
    spec.criteria[0].absolute.value = 1
    ended = await bench.run("load", spec)
    assert ended.verdict == pb.VERDICT_PASSED, ended.message
    values = {metric.metric: metric.value for metric in ended.metrics}
    assert values["load/ttft_p50_millis"] >= 150
    assert values["load/goodput_ratio"] == 0, "each first token comes after 150 ms; the objective is 50"
    assert values["load/error_ratio"] == 0
    assert ended.usage.wall_seconds > 0


async def test_a_candidate_that_costs_more_than_it_may_fails_however_good_it_is(bench: Any) -> None:
    spec = bench.spec("good", "weak")
    spec.subject.price.currency = spec.baseline.price.currency = "USD"
    spec.subject.price.tokens.input_per_million, spec.subject.price.tokens.output_per_million = 2, 15
    spec.baseline.price.tokens.input_per_million, spec.baseline.price.tokens.output_per_million = 1, 5
    dearer = spec.criteria.add(name="price", metric="golden/answer_price", required=True)
    dearer.relative.max_regression = 10e-6
    ended = await bench.run("price", spec)
    # An answer of the scripted model has 5 tokens in and 2 out.
    assert (ended.criteria[2].value, ended.criteria[2].baseline) == pytest.approx((40e-6, 15e-6))
    assert [result.verdict for result in ended.criteria] == [pb.VERDICT_PASSED, pb.VERDICT_PASSED, pb.VERDICT_FAILED]
    assert ended.verdict == pb.VERDICT_FAILED
    values = {metric.metric: metric.value for metric in ended.metrics}
    assert (values["golden/input_tokens_mean"], values["golden/output_tokens_mean"]) == (5, 2)
    assert values["golden/latency_p95_millis"] >= values["golden/ttft_p95_millis"] > 0

    again = await bench.run("price-again", spec)
    values = {metric.metric: metric.value for metric in again.metrics}
    assert values["golden/answer_price"] == pytest.approx(40e-6), (
        "an answer that was known costs as much when it is served"
    )
    assert values["golden/latency_p95_millis"] > 0, "and took as long as it took"


async def test_an_encoder_that_is_not_there_makes_an_error_that_names_it(bench: Any, tmp_path: Path) -> None:
    spec = bench.spec("good")
    spec.suites[0].task = "semantic-similarity"
    missing = {"model": f"file://{tmp_path}/model.onnx", "tokenizer": f"file://{tmp_path}/tokenizer.json"}
    spec.suites[0].parameters.update({"encoder": missing})
    spec.criteria[0].metric = "golden/cosine"
    ended = await bench.run("nowhere", spec)
    assert ended.verdict == pb.VERDICT_ERROR
    assert "model.onnx" in ended.message


async def test_items_that_stand_in_a_corpus_are_told_apart(bench: Any, tmp_path: Path) -> None:
    def question(n: int) -> str:
        return f"{' '.join(f'word-{n}-{place}' for place in range(14))} is {n}"

    lines = [json.dumps({"question": question(n), "answers": [f"answer {n}"]}) for n in range(60)]
    (tmp_path / "long.jsonl").write_text("\n".join(lines))
    (tmp_path / "corpus.jsonl").write_text(
        "\n".join(json.dumps({"text": f"Seen: {question(n)} answer {n}."}) for n in range(0, 60, 2))
    )
    spec = bench.spec("weak")
    spec.criteria[0].absolute.value = 0
    spec.suites[0].dataset.uri = f"file://{tmp_path}/long.jsonl"
    spec.suites[0].contamination_corpus.uri = f"file://{tmp_path}/corpus.jsonl"
    ended = await bench.run("seen", spec)
    assert ended.verdict == pb.VERDICT_PASSED, ended.message
    found = {(one.metric, one.value): one.samples for one in ended.slices if one.field == "contamination"}
    assert found["golden/contains", "contaminated"] == found["golden/contains", "clean"] == 30
    assert "no proof that it did" in Path(ended.artifacts[0].uri.removeprefix("file://")).read_text()

    spec.suites[0].contamination_corpus.records = "[].body"
    broken = await bench.run("without-corpus", spec)
    assert broken.verdict == pb.VERDICT_ERROR
    assert "contamination corpus" in broken.message


async def test_a_value_is_told_with_what_it_means_for_the_business(bench: Any) -> None:
    spec = bench.spec("good", "weak")
    spec.execution.log_samples = True
    business = spec.criteria[0].business_metric
    business.name, business.unit = "tickets that nobody has to look at", "%"
    for metric, value in ((0.1, 5), (0.3, 15), (1.0, 64)):
        business.curve.add(metric=metric, value=value)
    ended = await bench.run("business", spec)
    found = ended.criteria[0].business
    assert (found.value, found.unit, found.is_beyond) == (64, "%", False)
    assert found.ci_low < 64 <= found.ci_high
    assert not ended.criteria[1].HasField("business")
    assert "64 %" in Path(ended.artifacts[0].uri.removeprefix("file://")).read_text()

    business.curve.add(metric=2, value=1)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await bench.start_run("crooked", spec)
    error = channels.translate(caught.value, "evaluation")
    assert isinstance(error, errors.Invalid)
    assert [v.field for v in error.violations] == ["spec.criteria[0].business_metric.curve"]


async def test_prices_that_cannot_be_compared_are_refused(bench: Any) -> None:
    spec = bench.spec("good", "weak")
    spec.subject.price.currency, spec.baseline.price.currency = "USD", "EUR"
    spec.subject.price.per_hour = spec.baseline.price.per_hour = 1
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await bench.start_run("currencies", spec)
    error = channels.translate(caught.value, "evaluation")
    assert isinstance(error, errors.Invalid)
    assert [v.field for v in error.violations] == ["spec.baseline.price.currency"]


async def test_tasks_are_listed_with_their_metrics(bench: Any) -> None:
    tasks = {task.name: task for task in (await bench.stub.ListTasks(pb.ListTasksRequest())).tasks}
    assert set(tasks) == {
        "code-generation",
        "factual-consistency",
        "grounded-answer",
        "instruction-following",
        "judge-agreement", "judge-pairwise", "judge-rating", "language-modelling", "load", "membership", "multiple-choice",
        "question-answering", "refusal", "retrieval", "safety-classification", "semantic-similarity", "short-answer",
        "structured-output", "text-overlap",
    }  # fmt: skip
    assert {"contains", "exact_match", "token_f1"} <= {metric.name for metric in tasks["question-answering"].metrics}
    assert all(metric.description for task in tasks.values() for metric in task.metrics)


async def test_a_killed_worker_costs_nothing_with_a_baseline_either(fragile_bench: Any, model: Any) -> None:
    bench = fragile_bench
    spec = bench.spec("slow", "good")
    spec.criteria[1].relative.max_regression = 0.1
    await bench.start_run("pairs", spec)
    await bench.until_done("pairs", 9)
    bench.kill_worker()
    ended = await bench.finished("pairs")
    assert ended.verdict == pb.VERDICT_PASSED, ended.message
    assert ended.progress.items_done == 2 * bench.items
    # An asking whose answer was not yet recorded is repeated: at most one for each shard at work.
    assert len(model.asked) <= 2 * bench.items + ended.spec.execution.parallelism


async def test_a_stopped_worker_gives_its_items_back(fragile_bench: Any, model: Any) -> None:
    bench = fragile_bench
    await bench.start_run("stopped", bench.spec("slow"))
    await bench.until_done("stopped", 5)
    worker = bench.processes["touchstone_evaluation.worker"]
    worker.terminate()
    assert await asyncio.to_thread(worker.wait, 10) == 0
    bench.processes["touchstone_evaluation.worker"] = bench.start("touchstone_evaluation.worker")
    ended = await bench.finished("stopped")
    assert ended.verdict == pb.VERDICT_PASSED, ended.message
    assert len(model.asked) == bench.items, "items that were at work were finished, not dropped"


async def test_a_run_is_shown_with_what_it_measures(bench: Any) -> None:
    spec = bench.spec("good", "weak", max_tokens=10_000)
    started = await bench.start_run("shown", spec)
    ended = await bench.finished("shown")
    for found in (started, ended, await bench.get("shown")):
        assert found.spec.subject == spec.subject
        assert found.spec.criteria[1].relative.max_regression == 0.05
        assert found.spec.execution.max_tokens == 10_000
        assert found.spec.execution.parallelism == 4, "defaults are filled in"


async def test_a_revision_compared_with_itself_shows_no_change(bench: Any, model: Any) -> None:
    spec = bench.spec("good", "good")
    spec.criteria[1].relative.max_regression = 0.1  # 40 items without a loss leave 8.8 % possible
    ended = await bench.run("itself", spec)
    assert ended.verdict == pb.VERDICT_PASSED, ended.message
    assert ended.criteria[1].delta == 0
    assert len(model.asked) <= bench.items + ended.spec.execution.parallelism, "one answer serves both sides"


async def test_an_index_is_measured_by_what_it_finds(bench: Any) -> None:
    spec = bench.spec("good")
    index = pb.Subject(
        type=pb.SUBJECT_TYPE_RAG_INDEX, name="default/kb", revision="kb-1", digest=bench.digests["index"]
    )
    spec.subject.CopyFrom(index)
    spec.suites[0].task = "retrieval"
    spec.suites[0].parameters.update({"k": [1]})
    spec.criteria[0].metric = "golden/recall_at_1"
    ended = await bench.run("index", spec)
    values = {metric.metric: metric.value for metric in ended.metrics}
    assert values["golden/recall_at_1"] == 0.5, "every second document is found"
    assert values["golden/mrr"] == 0.5


async def test_choices_are_compared_by_their_likelihoods_and_a_worse_revision_fails(bench: Any, tmp_path: Path) -> None:
    records = [
        {"question": f"Which is even, {n}?", "choices": [f"number {n}", f"number {n + 1}"], "answers": [f"number {n}"]}
        for n in range(0, 40, 2)
    ]
    file = tmp_path / "choices.jsonl"
    file.write_text("\n".join(map(json.dumps, records)))
    spec = bench.spec("weak", "good")
    for criterion in spec.criteria:
        criterion.metric = "golden/accuracy"
    spec.suites[0].task = "multiple-choice"
    spec.suites[0].dataset.uri = f"file://{file}"
    ended = await bench.run("choices", spec)
    assert ended.verdict == pb.VERDICT_FAILED, ended.message
    (floor, change) = ended.criteria
    assert (floor.value, change.baseline, change.delta) == (0, 1, -1)


async def test_texts_are_scored_as_one_corpus(bench: Any) -> None:
    spec = bench.spec("good")
    spec.suites[0].task = "language-modelling"
    spec.suites[0].parameters.update({"entropy": True})
    spec.criteria[0].metric = "golden/perplexity"
    spec.criteria[0].absolute.operator = pb.OPERATOR_LESS_OR_EQUAL
    spec.criteria[0].absolute.value = 20
    ended = await bench.run("texts", spec)
    assert ended.verdict == pb.VERDICT_PASSED, ended.message
    assert ended.criteria[0].ci_low < ended.criteria[0].value < ended.criteria[0].ci_high
    assert {metric.metric: metric.value for metric in ended.metrics}["golden/entropy"] == 2


async def test_texts_that_a_model_finds_more_familiar_than_others_close_the_gate(bench: Any, tmp_path: Path) -> None:
    file = tmp_path / "texts.jsonl"
    label = {0: "suspected", 1: "reference"}
    rows = [{"question": f"This is text number {n:03}", "answers": [label[n % 2]]} for n in range(100)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    verdicts = {}
    for revision in ("good", "weak"):
        spec = bench.spec(revision)
        spec.suites[0].task = "membership"
        spec.suites[0].dataset.uri = f"file://{file}"
        spec.criteria[0].metric = "golden/auroc"
        spec.criteria[0].absolute.operator = pb.OPERATOR_LESS_OR_EQUAL
        spec.criteria[0].absolute.value = 0.6
        ended = await bench.run(f"familiar-{revision}", spec)
        verdicts[revision] = (ended.verdict, ended.criteria[0].value)
        values = {metric.metric: metric.value for metric in ended.metrics}
        assert values["golden/length_auroc"] == 0.5, "all texts are of one length"
    assert verdicts == {"good": (pb.VERDICT_FAILED, 1.0), "weak": (pb.VERDICT_PASSED, 0.0)}


async def test_answers_are_compared_with_references_by_overlap(bench: Any) -> None:
    spec = bench.spec("weak", "good")
    for criterion in spec.criteria:
        criterion.metric = "golden/rouge_l"
    spec.suites[0].task = "text-overlap"
    ended = await bench.run("overlap", spec)
    values = {metric.metric: metric.value for metric in ended.metrics}
    assert {"golden/bleu", "golden/chrf", "golden/ter", "golden/rouge_lsum"} <= set(values)
    assert ended.verdict == pb.VERDICT_FAILED
    assert ended.criteria[1].baseline == 1
    assert values["golden/ter"] > 0


async def test_answers_are_held_to_a_schema_and_their_fields_compared(bench: Any, model: Any, tmp_path: Path) -> None:
    file = tmp_path / "fields.jsonl"
    gold = [json.dumps({"answer": f"answer {n}"}) for n in range(20)]
    records = [{"question": f"What is {n}", "answers": [text]} for n, text in enumerate(gold)]
    file.write_text("\n".join(map(json.dumps, records)))
    schema = {"type": "object", "required": ["answer"], "properties": {"answer": {"type": "string"}}}
    spec = bench.spec("weak")
    spec.suites[0].task = "structured-output"
    spec.suites[0].parameters.update({"schema": schema, "constrained": True})
    spec.suites[0].dataset.uri = f"file://{file}"
    spec.criteria[0].metric = "golden/schema_valid"
    ended = await bench.run("fields", spec)
    assert ended.verdict == pb.VERDICT_PASSED, ended.message
    values = {metric.metric: metric.value for metric in ended.metrics}
    assert (values["golden/schema_valid"], values["golden/exact"]) == (1, 0.2)
    assert [json.loads(text) for text in model.schemas] == [schema]
    spec.suites[0].parameters.update({"schema": {"type": "telepathy"}})
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await bench.stub.StartRun(pb.StartRunRequest(dispatch_id="no-schema", spec=spec))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_router_that_refuses_for_a_while_is_asked_again(bench: Any, model: Any) -> None:
    ended = await bench.run("patient", bench.spec("busy"))
    assert ended.verdict == pb.VERDICT_PASSED, ended.message
    assert len(model.asked) == 2 * bench.items


async def test_a_refusal_under_load_is_counted_and_not_asked_again(bench: Any, model: Any) -> None:
    spec = load(bench.spec("busy"), requests=10, concurrency=2)
    spec.execution.max_error_ratio = 1
    spec.criteria[0].metric = "load/error_ratio"
    spec.criteria[0].absolute.operator = pb.OPERATOR_LESS_OR_EQUAL
    ended = await bench.run("refused", spec)
    assert ended.verdict == pb.VERDICT_FAILED, ended.message
    assert ended.criteria[0].value == 1
    assert len(model.asked) == 10


async def test_a_load_goes_to_both_sides_in_alternating_blocks(bench: Any, model: Any) -> None:
    spec = load(bench.spec("good", "weak"), requests=8, concurrency=1)
    del spec.criteria[1:]
    await bench.run("blocks", spec)
    assert [revision for revision, _ in model.asked] == ["good"] * 4 + ["weak"] * 8 + ["good"] * 4


@pytest.mark.parametrize(
    ("revision", "budget", "name"),
    [("good", {"max_tokens": 50}, "maxTokens"), ("slow", {"max_seconds": 1}, "maxSeconds"),
     ("good", {"max_items": 10}, "maxItems")],
)  # fmt: skip
async def test_a_budget_that_is_spent_ends_a_run_inconclusive(
    bench: Any, model: Any, revision: str, budget: dict[str, int], name: str
) -> None:
    ended = await bench.run(name, bench.spec(revision, parallelism=1, **budget))
    assert ended.verdict == pb.VERDICT_INCONCLUSIVE
    assert name in ended.message
    assert ended.criteria[0].verdict == pb.VERDICT_INCONCLUSIVE
    assert ended.criteria[0].value == 1.0, "what was measured so far is told"
    assert 0 < len(model.asked) < bench.items


async def test_a_run_ends_as_soon_as_its_verdict_is_certain(bench: Any, model: Any) -> None:
    spec = bench.spec("weak", "good", parallelism=1, stop_early=True)
    del spec.criteria[0]
    ended = await bench.run("clear", spec)
    assert ended.verdict == pb.VERDICT_FAILED
    assert "Certain after" in ended.message
    assert ended.criteria[0].samples < bench.items
    assert len(model.asked) < 2 * bench.items
    assert ended.criteria[0].confidence == pytest.approx(0.99)


async def test_a_run_that_is_never_certain_asks_all_items(bench: Any, model: Any) -> None:
    spec = bench.spec("good", "good", stop_early=True)
    spec.criteria[1].relative.max_regression = 0.01
    ended = await bench.run("open", spec)
    assert ended.progress.items_done == 2 * bench.items
    assert ended.verdict == pb.VERDICT_INCONCLUSIVE
    assert ended.criteria[1].advised_samples > bench.items
    assert "would tell" in ended.criteria[1].message


async def test_a_deadline_ends_a_run_in_error(bench: Any, model: Any) -> None:
    ended = await bench.run("late", bench.spec("slow", parallelism=1, deadline_seconds=2))
    assert ended.verdict == pb.VERDICT_ERROR
    assert "deadlineSeconds" in ended.message
    assert len(model.asked) < bench.items


async def test_repeats_are_asked_with_seeds_of_their_own(bench: Any, model: Any) -> None:
    spec = bench.spec("good")
    spec.suites[0].sampling.CopyFrom(pb.Sampling(temperature=1.0, seed=7, repeats=3))
    ended = await bench.run("repeats", spec)
    assert ended.progress.items_done == 3 * bench.items
    assert sorted(model.seeds) == [7] * bench.items + [8] * bench.items + [9] * bench.items


def load(spec: pb.RunSpec, **parameters: int) -> pb.RunSpec:
    """Put a load in the place of a specification's suite."""
    suite = pb.Suite(name="load", task="load")
    suite.parameters.update(parameters)
    del spec.suites[:]
    spec.suites.append(suite)
    spec.criteria[0].metric = "load/throughput_tokens_per_second"
    spec.criteria[0].absolute.value = 0
    return spec


async def test_slices_are_told_with_the_verdict_and_a_field_that_no_item_has_is_refused(
    bench: Any, tmp_path: Path
) -> None:
    lines = [
        {"question": f"What is {n}", "answers": [f"answer {n}"], "metadata": {"half": "low" if n < 20 else "high"}}
        for n in range(40)
    ]
    (tmp_path / "sliced.jsonl").write_text("\n".join(map(json.dumps, lines)))
    spec = bench.spec("weak", "good")
    spec.suites[0].dataset.uri = f"file://{tmp_path}/sliced.jsonl"
    spec.suites[0].slice_by.append("half")
    ended = await bench.run("sliced", spec)
    assert {(one.value, one.samples, one.is_worse) for one in ended.slices} == {("low", 20, True), ("high", 20, True)}
    assert all(one.measured == pytest.approx(0.2) and one.ci_high < 0 for one in ended.slices)
    spec.suites[0].slice_by[0] = "whole"
    ended = await bench.run("unsliced", spec)
    assert ended.verdict == pb.VERDICT_ERROR
    assert "no item has the metadata 'whole'; there are half" in ended.message


async def test_programs_are_run_where_the_run_allows_it_and_nowhere_else(bench: Any, tmp_path: Path) -> None:
    lines = [{"question": f"Write Python for {n}", "checks": {"tests": [f"assert number() == {n}"]}} for n in range(10)]
    (tmp_path / "programs.jsonl").write_text("\n".join(map(json.dumps, lines)))
    spec = bench.spec("good", "weak", allow_code_execution=True)
    spec.suites[0].task = "code-generation"
    spec.suites[0].dataset.uri = f"file://{tmp_path}/programs.jsonl"
    spec.suites[0].parameters.update({"template": "{question}", "samples": 2, "passAt": [1, 2]})
    spec.criteria[0].metric = spec.criteria[1].metric = "golden/pass_at_1"
    ended = await bench.run("programs", spec)
    assert ended.verdict == pb.VERDICT_PASSED, ended.message
    values = {metric.metric: (metric.value, metric.baseline) for metric in ended.metrics}
    wanted = {"golden/pass_at_1": (1, 0.2), "golden/pass_at_2": (1, 0.2), "golden/loaded": (1, 0.2)}
    assert {name: values[name] for name in wanted} == wanted
    spec.execution.allow_code_execution = False
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await bench.start_run("forbidden", spec)
    error = channels.translate(caught.value, "evaluation")
    assert isinstance(error, errors.Invalid)
    assert [v.field for v in error.violations] == ["spec.execution.allow_code_execution"]


async def test_instructions_are_checked_one_by_one(bench: Any, tmp_path: Path) -> None:
    checks = {
        "instructions": ["punctuation:no_comma", "keywords:existence"],
        "arguments": [{"num_words": None}, {"keywords": ["answer"]}],
    }
    lines = [{"question": f"What is {n}", "checks": checks} for n in range(10)]
    lines.append({"question": "What is 11", "checks": {"instructions": ["telepathy:level"], "arguments": [{}]}})
    (tmp_path / "instructions.jsonl").write_text("\n".join(map(json.dumps, lines)))
    spec = bench.spec("weak")
    spec.suites[0].task = "instruction-following"
    spec.suites[0].dataset.uri = f"file://{tmp_path}/instructions.jsonl"
    spec.criteria[0].metric = "golden/instruction_strict"
    ended = await bench.run("instructions", spec)
    values = {metric.metric: metric.value for metric in ended.metrics}
    assert values["golden/prompt_strict"] == pytest.approx(0.2)
    assert values["golden/instruction_strict"] == pytest.approx(0.6)
    assert ended.verdict == pb.VERDICT_PASSED, ended.message


async def test_known_answers_need_no_worker_and_budgets_hold_for_them_too(bench: Any, model: Any) -> None:
    await bench.run("first", bench.spec("good", "weak"))
    asked = len(model.asked)
    again = await bench.run("again", bench.spec("good", "weak"))
    assert again.progress.items_reused == again.progress.items_done == 2 * bench.items
    assert (again.verdict, len(model.asked)) == (pb.VERDICT_PASSED, asked)
    few = await bench.run("few", bench.spec("good", "weak", max_items=10))
    assert few.verdict == pb.VERDICT_INCONCLUSIVE
    assert few.progress.items_done == 2 * 10
    assert "maxItems" in few.message


async def test_a_wrong_answer_is_laid_to_the_part_that_failed(bench: Any, tmp_path: Path) -> None:
    """The weak revision is right on every fifth question; the index finds the documents of the even ones."""
    lines = [
        {"question": f"What is cited {n}", "answers": [f"answer {n}"], "relevant_documents": [f"d{n}"]}
        for n in range(40)
    ]
    (tmp_path / "grounded.jsonl").write_text("\n".join(map(json.dumps, lines)))
    spec = bench.spec("weak")
    spec.suites[0].task = "grounded-answer"
    spec.suites[0].dataset.uri = f"file://{tmp_path}/grounded.jsonl"
    spec.suites[0].parameters.update({"pattern": "(answer .*|no idea)"})
    spec.criteria[0].metric = "golden/passage_found"
    for dispatch_id in ("asked", "known"):
        ended = await bench.run(dispatch_id, spec)
        assert ended.verdict == pb.VERDICT_PASSED, ended.message
        values = {metric.metric.removeprefix("golden/"): metric.value for metric in ended.metrics}
        wanted = {
            "right": 0.2, "passage_found": 0.5, "right_given_passage": 0.2,
            "right_with_passage": 0.1, "right_without_passage": 0.1,
            "wrong_with_passage": 0.4, "wrong_without_passage": 0.4, "malformed": 0,
        }  # fmt: skip
        assert {name: values[name] for name in wanted} == pytest.approx(wanted)
    assert ended.progress.items_reused == 40
    spec.suites[0].parameters.update({"pattern": "(answer .*)"})
    ended = await bench.run("malformed", spec)
    values = {metric.metric.removeprefix("golden/"): metric.value for metric in ended.metrics}
    assert values["malformed"] == pytest.approx(0.8)
    assert values["right"] == pytest.approx(0.2)

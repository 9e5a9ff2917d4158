"""Records that models make: verified, kept or rejected with a reason, paid for once, and always with their origins."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
from touchstone_data import errors
from touchstone_data.adapters.trials import ProcessTrials
from touchstone_data.core import generation
from touchstone_data.core.records import Record
from touchstone_data.core.spec import Model
from touchstone_runtime.jobs import JobState

DIGEST = "sha256:" + "d" * 64
WRITER = Model(name="writer", deployment="default/chat", revision="chat-0123456789", digest=DIGEST)
JUDGE = {"model": "writer", "criteria": "It answers what was asked."}
FRUIT = ["apples", "bananas", "cherries", "dates", "elderberries", "figs", "grapes", "huckleberries"]
SEEDS = [
    {"id": str(n), "instruction": f"Explain to a child how {fruit} grow on their own.", "output": f"{fruit} need sun."}
    for n, fruit in enumerate(FRUIT)
]
NEW = [
    "Name three rivers of France and their sources.", "Write a short poem about a broken umbrella.",
    "Which planets have rings, and what are those made of?", "Sum up the plot of a film that you made up.",
    "Turn these notes into a polite letter of complaint.", "List the steps for changing a bicycle tyre.",
    "What is the difference between weather and climate?", "Suggest a menu for eleven guests who eat no meat.",
]  # fmt: skip


def seed_of(n: int, number: int = 0) -> int:
    return generation.seed_for(0, Record(id=str(n), source="raw", fields={}), number)


def writing(
    written: Mapping[int, str], verdict: Callable[[str], str] = lambda _: '{"reason": "fine", "score": 5}'
) -> Any:
    """Answer as the writer by the seed of a question, and as the judge by what it is shown."""
    by_seed = {seed_of(n): text for n, text in written.items()}

    def answer(request: Any) -> str:
        if "Criteria:" in request.messages[0].content:
            return verdict(request.messages[0].content)
        return by_seed[request.sampling.seed]

    return answer


def task(n: int, answer: str = "Like this.") -> str:
    return json.dumps({"instruction": NEW[n], "answer": answer})


def generate(**more: Any) -> tuple[str, dict[str, Any]]:
    return "generate-instructions", {"model": "writer", "judge": JUDGE, **more}


@pytest.fixture
def spec(make_spec: Any) -> Callable[..., Any]:
    """Make a pipeline that has the model `writer`, and reads instructions."""

    def make(uri: str, *steps: Any, **changes: Any) -> Any:
        return make_spec(uri, *steps, **{"models": (WRITER,), "text_fields": ("instruction", "output"), **changes})

    return make


@pytest.fixture
def make(tmp_path: Path, make_bench: Any, serve_models: Any, loop: Any) -> Callable[..., Any]:
    """Make a bench whose models answer by a script."""

    def make(script: Any, name: str = "one", **options: Any) -> Any:
        (tmp_path / name).mkdir()
        inference = serve_models(script, **options)
        return make_bench(tmp_path / name, inference=inference, trials=ProcessTrials(loop, parallel=2))

    return make


def test_what_verification_rejects_is_kept_apart_with_its_reason(
    make: Any, spec: Any, scripted: Any, read: Any
) -> None:
    def verdict(shown: str) -> str:
        if NEW[4] in shown:
            return '{"reason": "it is rude", "score": 2}'
        return "I would say five" if NEW[5] in shown else '{"reason": "fine", "score": 4}'

    written = {
        0: task(0), 1: "Sure! Here is a task.", 2: json.dumps({"instruction": SEEDS[7]["instruction"], "answer": "x"}),
        3: json.dumps({"instruction": "Say more.", "answer": "x"}), 4: task(4), 5: task(5),
        6: json.dumps({"instruction": NEW[6], "answer": NEW[6]}), 7: json.dumps({"instruction": NEW[0].lower(), "answer": "y"}),
    }  # fmt: skip
    bench = make(scripted(writing(written, verdict)))
    found = read(bench.run(spec(bench.write("in.jsonl", SEEDS), generate())))
    rejected = {row["record_id"]: (row["reason"], row["step"], row["score"]) for row in found.dropped}
    step = "generate-instructions"
    assert rejected == {
        f"1~{step}-1": ("answer not of the form", step, None),
        f"2~{step}-1": ("not new", step, 1.0),
        f"3~{step}-1": ("too short", step, 2.0),
        f"4~{step}-1": ("judged too low", step, 2.0),
        f"5~{step}-1": ("judge's verdict not readable", step, None),
        f"6~{step}-1": ("answer repeats its instruction", step, 1.0),
        f"7~{step}-1": ("not new", step, 1.0),
    }
    shown = {row["record_id"][0]: row["detail"] for row in found.dropped}
    assert shown["1"] == "Sure! Here is a task."
    assert shown["4"] == f"it is rude | {NEW[4]}\nLike this."
    (made,) = [row for row in found.rows["train"] if row["record_made_by"]]
    assert (made["record_id"], made["record_made_from"], made["record_source"]) == (f"0~{step}-1", "0", "raw")
    assert (made["record_made_by"], made["instruction"], made["output"]) == (step, NEW[0], "Like this.")
    assert len(found.rows["train"]) == len(SEEDS) + 1
    (account,) = found.manifest["steps"]
    assert (account["records"], account["made"], sum(account["dropped"].values())) == (8, 8, 7)
    assert found.manifest["models"] == [{"name": "writer", "revision": WRITER.revision, "digest": DIGEST}]


def test_a_prompt_that_is_not_taken_costs_one_record(make: Any, spec: Any, scripted: Any, read: Any) -> None:
    script = scripted(writing({0: task(0), 1: task(1), 2: task(2)}))
    script.failures = {1: grpc.StatusCode.INVALID_ARGUMENT}
    bench = make(script, parallel=1)
    found = read(bench.run(spec(bench.write("in.jsonl", SEEDS[:3]), generate())))
    assert [(row["reason"], row["detail"]) for row in found.dropped] == [("prompt not taken", "not now")]
    assert sum(row["record_made_by"] is not None for row in found.rows["train"]) == 2


def test_the_report_says_what_was_made_and_why_it_was_rejected(make: Any, spec: Any, scripted: Any) -> None:
    bench = make(scripted(writing({0: task(0), 1: "no", 2: "no", 3: task(3)})))
    pipeline = bench.run(spec(bench.write("in.jsonl", SEEDS[:4]), generate()))
    page = Path(pipeline.snapshot_uri.removeprefix("file://"), "report.html").read_text()
    text = " ".join(re.sub(r"<[^>]*>", " ", page).split())
    assert "generate-instructions 4 2 (50 %) answer not of the form: 2 (50 %)" in text
    assert f"Answered by writer ( {WRITER.revision} , {DIGEST} )" in text


def test_what_is_asked_and_made_is_the_same_every_time(make: Any, spec: Any, scripted: Any) -> None:
    script = scripted(writing({n: task(n) for n in range(8)}))
    snapshots, asked = [], []
    for name in ("here", "there"):
        script.asked.clear()
        bench = make(script, name)
        snapshots.append(bench.run(spec(bench.write("in.jsonl", SEEDS), generate())).snapshot)
        asked.append(sorted(request.SerializeToString(deterministic=True) for request in script.asked))
    assert snapshots[0].digest == snapshots[1].digest
    assert asked[0] == asked[1]
    assert script.pinned == {WRITER.revision}
    assert {request.model for request in script.asked} == {WRITER.deployment}
    other = scripted(script.answer, digest="sha256:" + "e" * 64)
    bench = make(other, "elsewhere")
    model = Model(name="writer", deployment="default/chat", revision=WRITER.revision, digest=other.digest)
    asked_of = spec(bench.write("in.jsonl", SEEDS), generate(), models=(model,))
    assert bench.run(asked_of).snapshot.digest != snapshots[0].digest, "who answered is part of what was made"


def test_questions_are_asked_several_at_once_and_never_more(make: Any, spec: Any, scripted: Any) -> None:
    script = scripted(writing({n: task(n) for n in range(8)}))
    script.pause_seconds = 0.05
    bench = make(script, parallel=3)
    bench.run(spec(bench.write("in.jsonl", SEEDS), generate()))
    assert script.most_at_once == 3


def test_a_shard_that_is_done_again_pays_for_nothing_twice(make: Any, spec: Any, scripted: Any, read: Any) -> None:
    script = scripted(writing({n: task(n) for n in range(8)}))
    script.failures = {5: grpc.StatusCode.UNAVAILABLE}
    bench = make(script, parallel=1, patience_seconds=0)
    bench.desk.start("run-1", spec(bench.write("in.jsonl", SEEDS), generate()))
    while bench.queue.jobs:
        bench.work_one()
    job = bench.jobs.get("run-1/1/0")
    assert (job.state, len(script.asked)) == (JobState.PENDING, 6)
    bench.clock.advance(3600)
    bench.queue.send(job)
    while bench.queue.jobs:
        bench.work_one()
    assert len(read(bench.pipelines.get("run-1")).rows["train"]) == 16
    assert len(script.asked) == 6 + 3 + 8, "five were answered before, three were not, and the judge saw eight"
    answered = [request.SerializeToString() for place, request in enumerate(script.asked) if place != 5]
    assert len(set(answered)) == len(answered)


def test_a_model_that_stays_away_fails_the_pipeline_and_says_so(make: Any, spec: Any, scripted: Any) -> None:
    script = scripted(writing({}))
    script.failures = dict.fromkeys(range(100), grpc.StatusCode.UNAVAILABLE)
    bench = make(script, patience_seconds=0)
    bench.desk.start("run-1", spec(bench.write("in.jsonl", SEEDS), generate()))
    for _ in range(5):
        while bench.queue.jobs:
            bench.work_one()
        bench.clock.advance(3600)
        bench.queue.send(bench.jobs.get("run-1/1/0"))
    bench.work_one()
    bench.desk.repair_all()
    pipeline = bench.pipelines.get("run-1")
    assert pipeline.state is JobState.FAILED
    assert pipeline.error["reason"] == "ModelUnavailable"
    assert "'writer' did not answer" in pipeline.error["message"]


def test_a_model_that_is_away_for_a_moment_is_asked_again(make: Any, spec: Any, scripted: Any) -> None:
    script = scripted(writing({n: task(n) for n in range(8)}))
    script.failures = {2: grpc.StatusCode.UNAVAILABLE, 4: grpc.StatusCode.RESOURCE_EXHAUSTED}
    bench = make(script)
    assert bench.run(spec(bench.write("in.jsonl", SEEDS), generate())).snapshot.records == 16


@pytest.mark.parametrize(
    ("status", "reason"),
    [(grpc.StatusCode.NOT_FOUND, "ModelRefused"), (grpc.StatusCode.UNIMPLEMENTED, "ModelRefused")],
)
def test_a_model_that_cannot_be_asked_fails_the_pipeline_at_once(
    make: Any, spec: Any, scripted: Any, status: grpc.StatusCode, reason: str
) -> None:
    script = scripted(writing({}))
    script.failures = dict.fromkeys(range(100), status)
    bench = make(script)
    pipeline = bench.run(spec(bench.write("in.jsonl", SEEDS), generate()))
    assert (pipeline.state, pipeline.error["reason"]) == (JobState.FAILED, reason)


def test_an_answer_of_another_revision_fails_the_pipeline(make: Any, spec: Any, scripted: Any) -> None:
    other = "sha256:" + "0" * 64
    bench = make(scripted(writing({n: task(n) for n in range(8)}), digest=other))
    pipeline = bench.run(spec(bench.write("in.jsonl", SEEDS), generate()))
    assert pipeline.error["reason"] == "RevisionMismatch"
    assert DIGEST in pipeline.error["message"]
    assert other in pipeline.error["message"]


def test_a_worker_without_a_router_says_what_it_lacks(bench: Any, spec: Any) -> None:
    pipeline = bench.run(spec(bench.write("in.jsonl", SEEDS), generate()))
    assert "TOUCHSTONE_INFERENCE_ADDRESS" in pipeline.error["message"]


def test_models_that_are_unknown_unasked_or_misnamed_are_refused(bench: Any, spec: Any) -> None:
    models = (
        WRITER, Model(name="writer", deployment="default/chat", revision="chat-1", digest=DIGEST),
        Model(name="Idle", deployment="chat", revision="", digest="d"),
    )  # fmt: skip
    steps = (generate(judge={**JUDGE, "model": "nobody"}), generate(model="nobody"))
    with pytest.raises(errors.SpecInvalid) as caught:
        bench.desk.start("run-1", spec(bench.write("in.jsonl", SEEDS), *steps, models=models))
    assert {violation.field for violation in caught.value.violations} == {
        "spec.models", "spec.models[2].name", "spec.models[2].deployment", "spec.models[2].revision",
        "spec.models[2].digest", "spec.models[2]", "spec.steps[0].parameters.judge.model",
        "spec.steps[1].parameters.model",
    }  # fmt: skip
    with pytest.raises(errors.SpecInvalid) as caught:
        bench.desk.start("run-1", spec(bench.write("in.jsonl", SEEDS), ("generate-instructions", {"model": "writer"})))
    assert "Nothing verifies" in caught.value.message


def test_programs_are_run_and_so_are_their_tests_on_nothing(make: Any, spec: Any, scripted: Any, read: Any) -> None:
    def program(n: int, body: str, tests: str) -> str:
        return json.dumps({"instruction": NEW[n], "answer": f"def f(x):\n    return {body}\n", "tests": tests})

    written = {
        0: program(0, "x + 1", "assert f(1) == 2"),
        1: program(1, "x + 2", "assert f(1) == 2"),
        2: program(2, "x + 1", "print('fine')"),
        3: program(3, "open('/etc/passwd').read()", "assert f(1)"),
        4: json.dumps({"instruction": NEW[4], "answer": "```python\ndef f(x):\n    return 7\n```\nDone.", "tests": "assert f(0) == 7"}),
    }  # fmt: skip
    bench = make(scripted(writing(written)))
    step = ("generate-instructions", {"model": "writer", "execution": {"timeout_seconds": 2}})
    found = read(bench.run(spec(bench.write("in.jsonl", SEEDS[:5]), step)))
    reasons = {row["record_id"][0]: (row["reason"], re.split("[:?]", row["detail"])[0]) for row in found.dropped}
    assert reasons == {
        "1": ("program did not pass", "AssertionError"),
        "2": ("tests check nothing", NEW[2].rstrip("?")),
        "3": ("program did not pass", "PermissionError"),
    }
    assert {row["record_id"][0] for row in found.rows["train"] if row["record_made_by"]} == {"0", "4"}


def test_what_was_made_is_never_parted_from_its_origin(make: Any, spec: Any, scripted: Any, read: Any) -> None:
    """The texts are not alike, so nothing but the lineage can keep them together."""
    bench = make(scripted(writing({n: task(n) for n in range(8)})))
    split = ("split", {"validation": 0.5, "seed": 3})
    found = read(bench.run(spec(bench.write("in.jsonl", SEEDS), generate(), split)))
    where = {row["record_id"]: name for name, rows in found.rows.items() for row in rows}
    made = [row for row in found.all_rows if row["record_made_by"]]
    assert len(made) == 8
    assert {where[row["record_id"]] == where[row["record_made_from"]] for row in made} == {True}
    read_only = [
        {"id": row["record_id"], "instruction": row["instruction"], "output": row["output"]} for row in found.all_rows
    ]
    apart = read(bench.run(spec(bench.write("all.jsonl", read_only), split, models=()), "run-2"))
    where = {row["record_id"]: name for name, rows in apart.rows.items() for row in rows}
    assert {where[row["record_id"]] == where[row["record_made_from"]] for row in made} == {True, False}


def test_nothing_is_made_of_what_is_held_out_or_was_made(make: Any, spec: Any, scripted: Any, read: Any) -> None:
    bench = make(scripted(writing({n: task(n) for n in range(8)})))
    steps = (
        ("split", {"validation": 0.5, "seed": 3}),
        generate(),
        ("augment", {"copies": 2}),
        ("augment", {"seed": 9}),
    )
    found = read(bench.run(spec(bench.write("in.jsonl", SEEDS), *steps)))
    origins = [row["record_id"] for row in found.rows["train"] if not row["record_made_by"]]
    assert 0 < len(origins) < 8
    assert not [row for row in found.rows["validation"] if row["record_made_by"]]
    assert {row["record_made_from"] for row in found.rows["train"]} - {None} <= set(origins)
    ids = [row["record_id"] for row in found.rows["train"]]
    assert len(ids) == len(set(ids))
    assert {name.partition("~")[2] for name in ids} >= {"", "generate-instructions-1", "augment-2", "augment.2-1"}
    assert [step["made"] for step in found.manifest["steps"][1:]] == [len(origins), 2 * len(origins), len(origins)]


def test_lineage_outlives_the_fields(make: Any, spec: Any, scripted: Any, read: Any) -> None:
    """`to-chat` made new records of the messages, which no longer said what they came from."""
    bench = make(scripted(writing({0: task(0), 1: task(1)})))
    turns = [{"role": "user", "template": "{{ instruction }}"}, {"role": "assistant", "template": "{{ output }}"}]
    found = read(bench.run(spec(bench.write("in.jsonl", SEEDS[:2]), generate(), ("to-chat", {"messages": turns}))))
    assert {row["record_id"]: row["record_made_from"] for row in found.rows["train"]} == {
        "0": None, "1": None, "0~generate-instructions-1": "0", "1~generate-instructions-1": "1",
    }  # fmt: skip


def test_a_snapshot_of_which_nothing_was_made_does_not_speak_of_it(bench: Any, make_spec: Any, read: Any) -> None:
    found = read(bench.run(make_spec(bench.write("in.jsonl", [{"text": "a b c"}]), "fix-text")))
    assert "models" not in found.manifest
    assert "made" not in found.manifest["steps"][0]
    assert set(found.rows["train"][0]) == {"record_id", "record_source", "text"}

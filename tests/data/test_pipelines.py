"""Pipelines from start to snapshot: idempotent, resumable, cancellable, the same wherever they run."""

import itertools
import json
import random
from pathlib import Path
from typing import Any

import pytest
from touchstone_data import errors
from touchstone_data.core.records import Drop, Record
from touchstone_data.core.steps import RecordWork, Step
from touchstone_runtime.errors import Unavailable
from touchstone_runtime.jobs import JobState

from .conftest import rows

STEPS = ("fix-text", "deduplicate-exact", ("length", {"min_words": 3}), ("split", {"validation": 0.2}))


def test_the_same_input_gives_the_same_digest_whatever_the_machine(
    tmp_path: Path, make_bench: Any, make_spec: Any
) -> None:
    digests = []
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        bench = make_bench(tmp_path / name)
        digests.append(bench.run(make_spec(bench.write("in.jsonl", rows(300)), *STEPS)).snapshot.digest)
    assert digests[0] == digests[1]


def test_another_parameter_is_another_snapshot(bench: Any, make_spec: Any) -> None:
    uri = bench.write("in.jsonl", rows(120))
    one = bench.run(make_spec(uri, ("length", {"min_words": 3})), "one")
    other = bench.run(make_spec(uri, ("length", {"min_words": 2})), "other")
    assert one.snapshot.digest != other.snapshot.digest
    assert [file.digest for file in one.snapshot.files] == [file.digest for file in other.snapshot.files]


def test_results_do_not_depend_on_the_size_of_shards(bench: Any, make_spec: Any, read: Any) -> None:
    twice = [*rows(250), *({**row, "id": f"again-{row['id']}"} for row in rows(250)[::3])]
    uri = bench.write("in.jsonl", twice)
    found = []
    for name, size in (("small", 100), ("large", 10_000)):
        found.append(read(bench.run(make_spec(uri, *STEPS, shard_records=size), name)))
    assert found[0].rows == found[1].rows
    assert found[0].dropped == found[1].dropped
    assert len(found[0].dropped) == 84


class Flaky:
    """A step that breaks down the first time it meets one record, as a worker that is killed there."""

    def __init__(self, at: str) -> None:
        self.seen: list[str] = []
        self._at = at

    def step(self) -> Step:
        return Step(name="flaky", version=1, description="Breaks down once.", by_record=self._make)

    def _make(self, parameters: object, surroundings: object) -> RecordWork:
        def work(record: Record) -> Record | Drop:
            self.seen.append(record.id)
            if record.id == self._at and self.seen.count(record.id) == 1:
                raise Unavailable("Away for a moment.")
            return record

        return work


def test_after_a_breakdown_only_the_shard_at_hand_is_worked_on_again(
    tmp_path: Path, make_bench: Any, make_spec: Any, read: Any
) -> None:
    flaky = Flaky(at="250")
    bench = make_bench(tmp_path, {"flaky": flaky.step()})
    bench.desk.start("run-1", make_spec(bench.write("in.jsonl", rows(400)), "flaky", shard_records=100))
    while bench.queue.jobs:
        bench.work_one()
    job = bench.jobs.get("run-1/1/2")
    assert job.state is JobState.PENDING
    assert bench.pipelines.get("run-1").state is JobState.RUNNING
    bench.clock.advance(3600)  # the pause is over
    bench.queue.send(job)
    while bench.queue.jobs:
        bench.work_one()
    found = read(bench.pipelines.get("run-1"))
    assert [row["id"] for row in found.rows["train"]] == [str(number) for number in range(400)]
    again = [number for number in map(str, range(400)) if flaky.seen.count(number) > 1]
    assert again == [str(number) for number in range(200, 251)]


def test_units_done_twice_and_in_any_order_change_nothing(bench: Any, make_spec: Any, read: Any) -> None:
    uri = bench.write("in.jsonl", rows(300))
    plain = bench.run(make_spec(uri, *STEPS, shard_records=100), "plain")
    bench.desk.start("shuffled", make_spec(uri, *STEPS, shard_records=100))
    rng = random.Random(5)
    while bench.queue.jobs:
        rng.shuffle(bench.queue.jobs)
        if rng.random() < 0.4:
            bench.queue.jobs.append(bench.queue.jobs[0])
        bench.work_one()
    assert bench.pipelines.get("shuffled").snapshot.digest == plain.snapshot.digest


def test_what_was_lost_between_two_stages_is_sent_again(bench: Any, make_spec: Any) -> None:
    bench.desk.start("run-1", make_spec(bench.write("in.jsonl", rows(300)), *STEPS, shard_records=100))
    while bench.pipelines.get("run-1").state is not JobState.SUCCEEDED:
        bench.queue.jobs.clear()  # the broker forgets all it holds
        bench.desk.repair_all()
        for job in bench.jobs.overdue("data.unit"):
            bench.queue.send(job)
        bench.work_one()
        bench.desk.repair_all()
    assert bench.pipelines.get("run-1").snapshot.records == 300


def test_starting_twice_is_starting_once(bench: Any, make_spec: Any) -> None:
    spec = make_spec(bench.write("in.jsonl", rows(10)), "fix-text")
    bench.run(spec)
    pipeline, _ = bench.desk.start("run-1", spec)
    assert pipeline.state is JobState.SUCCEEDED
    with pytest.raises(errors.DispatchIdTaken):
        bench.desk.start("run-1", make_spec(spec.sources[0].uri, "clean-html"))


def test_a_cancelled_pipeline_never_returns_to_running(bench: Any, make_spec: Any) -> None:
    bench.desk.start("run-1", make_spec(bench.write("in.jsonl", rows(300)), *STEPS, shard_records=100))
    bench.work_one()
    bench.desk.cancel("run-1")
    while bench.queue.jobs:
        bench.work_one()
    bench.desk.repair_all()
    pipeline, progress = bench.desk.get("run-1")
    assert pipeline.state is JobState.CANCELLED
    assert pipeline.snapshot is None
    assert progress.stages_done < progress.stages_total


def test_progress_names_the_steps_and_counts_shards_and_records(bench: Any, make_spec: Any) -> None:
    bench.desk.start("run-1", make_spec(bench.write("in.jsonl", rows(300)), *STEPS, shard_records=100))
    assert bench.desk.get("run-1")[1].stage == "Reading"
    bench.work_one()
    bench.work_one()
    progress = bench.desk.get("run-1")[1]
    assert (progress.stage, progress.shards_done, progress.shards_total) == ("fix-text, deduplicate-exact", 1, 3)
    assert progress.records_read == 300


def test_records_that_cannot_be_read_are_counted_and_kept_with_their_place(
    bench: Any, make_spec: Any, read: Any
) -> None:
    path = bench.root / "in.jsonl"
    path.write_text('{"text": "one"}\n{broken\n[1]\n\n{"text": "two", "id": 7}\n"last"\n')
    found = read(bench.run(make_spec(f"file://{path}", "fix-text")))
    assert [(row["record_id"], row["reason"]) for row in found.dropped] == [
        ("1", "not JSON"), ("2", "not a JSON object"), ("4", "not a JSON object"),
    ]  # fmt: skip
    assert found.manifest["unreadable"] == {"not JSON": 1, "not a JSON object": 2}
    assert [row["record_id"] for row in found.rows["train"]] == ["0", "7"]


def test_what_cannot_be_read_round_a_whole_shard_is_kept(bench: Any, make_spec: Any, read: Any) -> None:
    path = bench.root / "in.jsonl"
    lines = [json.dumps(row) for row in rows(100)]
    path.write_text("\n".join(["{", *lines, "[", "("]))
    found = read(bench.run(make_spec(f"file://{path}", "fix-text", shard_records=100)))
    assert [row["record_id"] for row in found.dropped] == ["0", "101", "102"]
    assert len(found.rows["train"]) + len(found.dropped) == found.manifest["sources"][0]["records"] == 103


@pytest.mark.parametrize(
    ("steps", "lines", "reason"),
    [
        ((("length", {"min_words": 99}), "deduplicate-exact", "deduplicate-fuzzy", "split"), rows(3), "Empty"),
        ((("length", {"min_words": 99}), "agreement"), rows(3), "Empty"),
        ((("length", {"min_words": 99}),), rows(3), "Empty"),
        (("fix-text",), [], "Empty"),
        (("fix-text",), [{"text": "a", "x": 1}, {"text": "b", "x": "one"}], "ColumnsMixed"),
        ((("contamination", {"against": [{"uri": "file:///nowhere/at-all.jsonl"}]}),), rows(3), "StepFailed"),
    ],
)
def test_a_pipeline_that_cannot_succeed_says_why(
    bench: Any, make_spec: Any, steps: tuple[Any, ...], lines: list[Any], reason: str
) -> None:
    pipeline = bench.run(make_spec(bench.write("in.jsonl", lines), *steps))
    assert pipeline.state is JobState.FAILED
    assert pipeline.error["reason"] == reason
    assert pipeline.error["message"]


def test_a_source_with_another_digest_is_refused(bench: Any, make_spec: Any) -> None:
    spec = make_spec(bench.write("in.jsonl", rows(3)), "fix-text")
    wrong = itertools.repeat("sha256:" + "0" * 64)
    sources = tuple(type(s)(name=s.name, uri=s.uri, digest=next(wrong)) for s in spec.sources)
    pipeline = bench.run(make_spec("file:///x", "fix-text", sources=sources))
    assert pipeline.error["reason"] == "SourceInvalid"


def test_an_item_of_an_evaluation_set_blocks_the_pipeline(bench: Any, make_spec: Any) -> None:
    item = "which of the nine harbours of the old league still keeps a lighthouse made of pale stone and copper"
    uri = bench.write("in.jsonl", [*rows(5), {"id": "leak", "text": f"So I asked {item} and nobody knew"}])
    against = bench.write("held-out.jsonl", [{"question": item}])
    blocked = bench.run(make_spec(uri, ("contamination", {"against": [{"uri": against}]})), "blocked")
    assert blocked.error["reason"] == "Contaminated"
    assert "raw/leak" in blocked.error["message"]
    allowed = {"against": [{"uri": against}], "on_hit": "drop"}
    assert bench.run(make_spec(uri, ("contamination", allowed)), "allowed").snapshot.records == 5


def test_of_work_under_way_only_what_was_read_and_what_is_worked_on_takes_room(bench: Any, make_spec: Any) -> None:
    bench.desk.start("run-1", make_spec(bench.write("in.jsonl", rows(400)), *STEPS, shard_records=100))
    seen = set()
    while bench.queue.jobs:
        unit = bench.work_one()
        found = [path.parent.name for path in (bench.root / "work" / "shards").rglob("*.records.parquet")]
        assert len(found) <= 4 + 4 + 1, unit  # what was read, the stage before or this one, and what is at hand
        seen.update(found)
    assert bench.pipelines.get("run-1").state is JobState.SUCCEEDED
    assert len(seen) == 4, "records were written by reading and by three stages of work"


def test_nothing_is_left_of_the_work_when_it_is_done(bench: Any, make_spec: Any) -> None:
    bench.run(make_spec(bench.write("in.jsonl", rows(10)), *STEPS))
    assert not [path for path in (bench.root / "work").rglob("*") if path.is_file()]
    assert not list((bench.root / "artefacts").rglob(".partial-*"))


def test_faults_of_a_specification_are_all_told(bench: Any, make_spec: Any) -> None:
    spec = make_spec(
        "ftp://x", "no-such-step", ("length", {}), ("split", {"validation": 2}), name="No Name", shard_records=1
    )
    with pytest.raises(errors.SpecInvalid) as caught:
        bench.desk.start("", spec)
    assert {violation.field for violation in caught.value.violations} == {
        "dispatch_id", "spec.name", "spec.sources[0].uri", "spec.shard_records", "spec.steps[0].name",
        "spec.steps[1].parameters", "spec.steps[2].parameters.validation",
    }  # fmt: skip

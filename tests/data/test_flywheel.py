"""The whole wheel: feedback, annotators, agreement, export, pipeline, snapshot, and what a training reads of it."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from touchstone_data import errors
from touchstone_data.adapters.export_database import ExportDatabase
from touchstone_data.adapters.export_store import ExportShelf
from touchstone_data.adapters.feedback_database import FeedbackDatabase
from touchstone_data.adapters.queue_database import QueueDatabase
from touchstone_data.adapters.sources import SourceFiles
from touchstone_data.core.feedback import Feedback, Filter, Layout, Signal, Turn
from touchstone_data.core.queues import QueueSpec
from touchstone_data.core.spec import PipelineSpec, Source, StepUse
from touchstone_data.service.annotating import AnnotationDesk, Chosen
from touchstone_data.service.exporting import Exporter
from touchstone_data.service.feedback import FeedbackDesk
from touchstone_finetuning.core import records as training
from touchstone_finetuning.core.recipe import Format
from touchstone_runtime.artefacts import Resolver
from touchstone_runtime.testing import FakeSecrets

REVISION = "sha256:" + "5" * 64
QUEUES = ("billing", "shipping", "returns")
SUBJECTS = {
    "billing": "My card was charged twice for the order of last {}",
    "shipping": "The parcel with the {} has not arrived at my door",
    "returns": "I would like to send the broken {} back to the shop",
}
THINGS = ["lamp", "kettle", "chair", "radio", "clock", "scarf", "mirror", "drill", "tent", "globe", "piano", "rug"]
EVERYTHING = Chosen(0, 0)


def ticket(number: int) -> tuple[str, str]:
    queue = QUEUES[number % 3]
    return queue, SUBJECTS[queue].format(f"{THINGS[number % 12]} number {number} {THINGS[number // 12 % 12]}")


class Wheel:
    """The flywheel beside a bench for pipelines, over one database."""

    def __init__(self, bench: Any) -> None:
        self.bench, self.clock = bench, bench.clock
        engine = bench.jobs.engine
        self.exports_uri = f"file://{bench.root}/artefacts"
        record, exports = FeedbackDatabase(engine, now=bench.clock), ExportDatabase(engine)
        queues, store = QueueDatabase(engine, now=bench.clock), ExportShelf(self.exports_uri)
        sources = SourceFiles(Resolver(bench.root / "cache"), FakeSecrets(), file_root=bench.root)
        self.feedback = FeedbackDesk(record, exports, store, retention_days=180)
        self.annotations = AnnotationDesk(queues, record, sources)
        self.exporter = Exporter(exports, store, queues)

    def say(self, number: int, signal: Signal, text: str, **changes: Any) -> None:
        self.feedback.record(
            Feedback(
                id=f"f-{number:03}",
                revision_digest=REVISION,
                messages=(Turn("system", "Name the queue."), Turn("user", text)),
                response="billing",
                signal=signal,
                end_user=f"user-{number % 7}",
                has_consent=True,
                **changes,
            )
        )

    def annotate(self, queue: str, careless: set[str]) -> None:
        """Let people label until nothing is left; the careless draw lots."""
        rng = random.Random(3)
        for person in ("ann", "ben", "cat"):
            while claimed := self.annotations.claim(queue, person):
                right, _ = ticket(int(claimed.item.id.removeprefix("f-")))
                label = rng.choice(QUEUES) if person in careless else right
                self.annotations.submit(queue, claimed.item.id, person, label)
                self.clock.advance(20)

    def pipeline(self, export: Any, *steps: Any, fields: tuple[str, ...]) -> Any:
        uses = tuple(StepUse(name=s) if isinstance(s, str) else StepUse(name=s[0], parameters=s[1]) for s in steps)
        spec = PipelineSpec(
            name="wheel",
            sources=(Source(name="export", uri=export.uri, digest=export.digest),),
            text_fields=fields,
            steps=uses,
        )
        return self.bench.run(spec)


@pytest.fixture
def wheel(bench: Any) -> Wheel:
    return Wheel(bench)


def queue(**changes: Any) -> QueueSpec:
    settings = {"name": "tickets", "guideline": "Money: billing. Parcels: shipping. Back: returns.", "choices": QUEUES}
    return QueueSpec(**{**settings, **changes})


TO_CHAT = (
    "to-chat",
    {
        "messages": [
            {"role": "user", "template": "{{ messages[-1].content }}"},
            {"role": "assistant", "template": "{{ label }}"},
        ],
        "keep": ["label", "lineage"],
    },
)
TURNS = ("messages[].content", "response")


def test_from_thumbs_down_to_a_snapshot_that_people_agreed_on(wheel: Wheel, read: Any) -> None:
    for number in range(60):
        right, text = ticket(number)
        wheel.say(
            number,
            Signal.THUMB_UP if right == "billing" else Signal.THUMB_DOWN,
            f"{text}, write to a{number}@b.example",
        )
    (summary,) = wheel.feedback.summarise(Filter())
    assert summary.counts == {Signal.THUMB_UP: 20, Signal.THUMB_DOWN: 40}
    wheel.annotations.create(queue(min_alpha=0.2))
    down = Filter(revision_digest=REVISION, signals=(Signal.THUMB_DOWN,))
    assert wheel.annotations.add_feedback("tickets", down, EVERYTHING).added == 40
    wheel.annotate("tickets", careless={"cat"})
    standing, found, _ = wheel.annotations.look("tickets")
    assert (standing.progress.complete, standing.progress.annotations) == (40, 120)
    pairs = {(pair.first, pair.second): pair.alpha for pair in found.pairs}
    assert pairs["ann", "ben"] == 1
    assert max(pairs["ann", "cat"], pairs["ben", "cat"]) < 0.4
    export = wheel.exporter.queue("tickets", allow_low_agreement=False)
    assert wheel.exporter.queue("tickets", allow_low_agreement=False).digest == export.digest
    steps = ("agreement", "adjudicate", "redact-pii", ("split", {"validation": 0.2, "groups": ["id"]}), TO_CHAT)
    pipeline = wheel.pipeline(export, *steps, fields=TURNS)
    snapshot = read(pipeline)
    assert snapshot.manifest["sources"][0]["digest"] == export.digest
    assert snapshot.manifest["steps"][0]["facts"]["alpha"] == found.alpha
    assert len(snapshot.all_rows) == 40
    for row in snapshot.all_rows:
        right, text = ticket(int(row["record_id"].removeprefix("f-")))
        assert [turn["content"] for turn in row["messages"]] == [f"{text}, write to <EMAIL>", right]
        assert row["lineage"]["revision_digest"] == REVISION
        assert row["lineage"]["guideline_digest"] == queue().guideline_digest
        assert row["lineage"]["queue"] == "tickets"
        assert training.conversation(row, Format.CHATML)[-1].content == right


def test_a_queue_on_which_people_do_not_agree_is_not_exported(wheel: Wheel) -> None:
    for number in range(30):
        wheel.say(number, Signal.THUMB_DOWN, ticket(number)[1])
    wheel.annotations.create(queue(min_alpha=0.8))
    wheel.annotations.add_feedback("tickets", Filter(), EVERYTHING)
    wheel.annotate("tickets", careless={"ben", "cat"})
    with pytest.raises(errors.AgreementTooLow, match=r"0\.8 is asked"):
        wheel.exporter.queue("tickets", allow_low_agreement=False)
    export = wheel.exporter.queue("tickets", allow_low_agreement=True)
    failed = wheel.pipeline(export, ("agreement", {"min_alpha": 0.8}), fields=TURNS)
    assert failed.error["reason"] == "StepFailed"


def test_edits_become_pairs_that_preference_training_reads(wheel: Wheel, read: Any) -> None:
    for number in range(20):
        right, text = ticket(number)
        if right == "billing":
            wheel.say(number, Signal.THUMB_UP, text)
        elif number % 2:
            wheel.say(number, Signal.EDIT, f"{text}. Call +1 202 555 0143.", edited=right)
        else:
            wheel.say(number, Signal.CORRECTION, text, corrections={"queue": right})
    export = wheel.exporter.feedback(Filter(revision_digest=REVISION), Layout.PREFERENCE)
    assert export.left_out == {"no better answer": 7}
    fields = ("prompt[].content", "chosen", "rejected")
    snapshot = read(wheel.pipeline(export, "redact-pii", ("length", {"min_words": 8}), fields=fields))
    assert len(snapshot.all_rows) == export.records == 13
    for row in snapshot.all_rows:
        right, text = ticket(int(row["record_id"].removeprefix("f-")))
        pair = training.pair(row)
        assert (pair.chosen.content, pair.rejected.content) == (right, "billing")
        assert pair.prompt[0] == training.Turn("system", "Name the queue.")
        assert pair.prompt[1].content in (text, f"{text}. Call <PHONE>.")
    chat = wheel.exporter.feedback(Filter(), Layout.CHAT)
    rows = read(wheel.bench.run(PipelineSpec(
        name="chat", sources=(Source(name="export", uri=chat.uri),), text_fields=("messages[].content",),
        steps=(StepUse(name="fix-text"),),
    ), "chat")).all_rows  # fmt: skip
    answers = {row["record_id"]: training.conversation(row, Format.CHATML)[-1].content for row in rows}
    assert answers == {f"f-{number:03}": ticket(number)[0] for number in range(20)}


@pytest.mark.parametrize("layout", list(Layout))
def test_an_item_of_a_test_set_that_came_back_as_feedback_is_found(wheel: Wheel, layout: Layout) -> None:
    for number in range(12):
        wheel.say(number, Signal.EDIT, ticket(number)[1], edited="returns, I am sure")
    held_out = [{"question": ticket(7)[1]}]
    against = [{"uri": wheel.bench.write("held-out.jsonl", held_out)}]
    export = wheel.exporter.feedback(Filter(), layout)
    fields = ("prompt[].content", "messages[].content")
    failed = wheel.pipeline(export, ("contamination", {"against": against}), fields=fields)
    assert failed.error["reason"] == "Contaminated"


def test_a_file_of_records_is_annotated_too_and_a_sample_is_the_same_each_time(wheel: Wheel, read: Any) -> None:
    rows = [{"id": f"f-{number:03}", "text": ticket(number)[1]} for number in range(90)]
    uri = wheel.bench.write("raw.jsonl", [*rows, "no object"])
    wheel.annotations.create(queue(annotators_per_item=2))
    source = Source(name="raw", uri=uri)
    first = wheel.annotations.add_source("tickets", source, Chosen(30, 5))
    assert (first.added, first.present, first.left_out) == (30, 0, {"not a JSON object": 1})
    assert wheel.annotations.add_source("tickets", source, Chosen(30, 5)).present == 30
    assert 0 < wheel.annotations.add_source("tickets", source, Chosen(30, 6)).added < 30
    wheel.annotate("tickets", careless=set())
    export = wheel.exporter.queue("tickets", allow_low_agreement=False)
    snapshot = read(wheel.pipeline(export, "agreement", "adjudicate", fields=("text",)))
    assert {row["record_id"]: row["label"] for row in snapshot.all_rows} == {
        row["record_id"]: ticket(int(row["record_id"].removeprefix("f-")))[0] for row in snapshot.all_rows
    }
    digests = {row["lineage"]["source_digest"] for row in snapshot.all_rows}
    assert len(digests) == 1
    assert digests.pop().startswith("sha256:")


def test_labels_that_are_objects_are_adjudicated_by_field(wheel: Wheel, read: Any) -> None:
    schema = {"type": "object", "properties": {"queue": {"enum": list(QUEUES)}, "urgent": {"type": "boolean"}}}
    wheel.annotations.create(queue(choices=(), json_schema=json.dumps(schema), annotators_per_item=2))
    wheel.say(0, Signal.COMMENT, ticket(0)[1], comment="Wrong.")
    wheel.annotations.add_feedback("tickets", Filter(), EVERYTHING)
    for person, urgent in (("ann", True), ("ben", False)):
        claimed = wheel.annotations.claim("tickets", person)
        assert claimed is not None
        wheel.annotations.submit("tickets", claimed.item.id, person, json.dumps({"queue": "billing", "urgent": urgent}))
    export = wheel.exporter.queue("tickets", allow_low_agreement=False)
    path = {"label": "label.queue"}
    snapshot = read(wheel.pipeline(export, ("agreement", path), ("adjudicate", path), fields=TURNS))
    assert [row["label"] for row in snapshot.all_rows] == ["billing"]


def test_incomplete_items_wait_for_a_later_export(wheel: Wheel) -> None:
    for number in range(4):
        wheel.say(number, Signal.THUMB_DOWN, ticket(number)[1])
    wheel.annotations.create(queue(annotators_per_item=1))
    wheel.annotations.add_feedback("tickets", Filter(), EVERYTHING)
    with pytest.raises(errors.ExportEmpty, match="4 annotations are missing"):
        wheel.exporter.queue("tickets", allow_low_agreement=False)
    claimed = wheel.annotations.claim("tickets", "ann")
    assert claimed is not None
    wheel.annotations.submit("tickets", claimed.item.id, "ann", "billing")
    export = wheel.exporter.queue("tickets", allow_low_agreement=False)
    assert (export.records, export.left_out) == (1, {"annotations are missing": 3})
    path = Path(export.uri.removeprefix("file://"))
    (row,) = map(json.loads, path.read_text().splitlines())
    assert row["annotations"] == [{"annotator": "ann", "label": "billing"}]
    assert "end_user" not in row

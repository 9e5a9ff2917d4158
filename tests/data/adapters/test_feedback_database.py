"""The record of feedback, on each database that is supported: once, for its time, and then gone with all made of it."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from touchstone_data import errors
from touchstone_data.adapters.export_database import ExportDatabase
from touchstone_data.adapters.export_store import ExportShelf
from touchstone_data.adapters.feedback_database import FeedbackDatabase
from touchstone_data.adapters.queue_database import QueueDatabase
from touchstone_data.core.feedback import Feedback, Filter, Layout, Signal, Turn
from touchstone_data.core.queues import Annotation, QueueSpec
from touchstone_data.service.exporting import Exporter
from touchstone_data.service.feedback import FeedbackDesk
from touchstone_runtime import databases
from touchstone_runtime.testing import FakeClock

FIRST, SECOND = "sha256:" + "1" * 64, "sha256:" + "2" * 64
MONTH = timedelta(days=30)


def given(number: int = 1, **changes: object) -> Feedback:
    feedback = Feedback(
        id=f"f-{number}",
        revision_digest=FIRST,
        messages=(Turn("user", f"Question {number}?"),),
        response="Answer.",
        signal=Signal.EDIT,
        edited=f"Better answer {number}.",
        end_user="somebody",
        has_consent=True,
    )
    return replace(feedback, **changes)  # type: ignore[arg-type]


@dataclass
class Scene:
    """Everything over one database and one folder."""

    clock: FakeClock
    feedback: FeedbackDatabase
    queues: QueueDatabase
    exports: ExportDatabase
    store: ExportShelf
    folder: Path

    def desk(self) -> FeedbackDesk:
        return FeedbackDesk(self.feedback, self.exports, self.store, retention_days=180)

    def exporter(self) -> Exporter:
        return Exporter(self.exports, self.store, self.queues)

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("exports/*"))


@pytest.fixture
def scene(database_url: str, tmp_path: Path) -> Iterator[Scene]:
    engine, clock = databases.connect(database_url), FakeClock()
    yield Scene(
        clock,
        FeedbackDatabase(engine, now=clock),
        QueueDatabase(engine, now=clock),
        ExportDatabase(engine),
        ExportShelf(f"file://{tmp_path}/store"),
        tmp_path / "store",
    )
    engine.dispose()


def test_feedback_is_recorded_once_and_read_as_it_was_sent(scene: Scene) -> None:
    sent = given(signal=Signal.CORRECTION, edited="", corrections={"queue": "shipping", "deep": {"n": [1, None]}})
    first = scene.feedback.record(sent, MONTH)
    scene.clock.advance(60)
    assert scene.feedback.record(sent, MONTH) == first
    assert first.expires_at - first.recorded_at == MONTH
    assert first.feedback == replace(sent, retention_days=30, given_at=first.recorded_at)
    with pytest.raises(errors.FeedbackIdTaken):
        scene.feedback.record(replace(sent, comment="And more."), MONTH)


def test_of_many_that_record_the_same_all_are_told_the_same(scene: Scene) -> None:
    together = threading.Barrier(8)

    def record(number: int) -> object:
        together.wait()
        return scene.feedback.record(given(), MONTH)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(record, range(8)))
    assert found == found[:1] * 8
    assert len(scene.feedback.ids(Filter())) == 1


def test_pages_hold_everything_once_in_the_order_of_recording(scene: Scene) -> None:
    for number in range(23):
        scene.feedback.record(given(number), MONTH)
        if number % 3 == 0:
            scene.clock.advance(1)
    desk, seen, token = scene.desk(), [], ""
    while True:
        page = desk.page(Filter(), 5, token)
        seen += page.entries
        token = page.entries[-1].feedback.id
        if not page.has_more:
            break
    assert sorted(one.feedback.id for one in seen) == sorted(f"f-{number}" for number in range(23))
    assert [one.recorded_at for one in seen] == sorted(one.recorded_at for one in seen)
    assert desk.page(Filter(), 5, "gone").entries == []


def test_feedback_is_chosen_and_counted_by_revision_kind_and_time(scene: Scene) -> None:
    for number, signal in enumerate([*[Signal.THUMB_UP] * 7, *[Signal.THUMB_DOWN] * 3, Signal.EDIT]):
        scene.feedback.record(given(number, signal=signal), MONTH)
    scene.clock.advance(3600)
    scene.feedback.record(given(50, revision_digest=SECOND), MONTH)
    chosen = Filter(revision_digest=FIRST, signals=(Signal.THUMB_DOWN, Signal.EDIT))
    assert len(scene.feedback.ids(chosen)) == 4
    assert scene.feedback.ids(Filter(recorded_after=scene.clock())) == ["f-50"]
    assert len(scene.feedback.ids(Filter(recorded_before=scene.clock()))) == 11
    first, second = scene.desk().summarise(Filter())
    assert first.counts == {Signal.THUMB_UP: 7, Signal.THUMB_DOWN: 3, Signal.EDIT: 1}
    assert first.up_share is not None
    assert (first.up_share.value, second.up_share) == (0.7, None)


def test_who_is_forgotten_is_gone_from_queues_and_exports(scene: Scene) -> None:
    for number in range(6):
        scene.feedback.record(given(number, end_user="her" if number < 2 else "him"), MONTH)
    scene.queues.create(QueueSpec(name="q", guideline="?", choices=("a", "b"), annotators_per_item=1))
    scene.queues.add_feedback("q", scene.feedback.ids(Filter()))
    while claimed := scene.queues.claim("q", "ann"):
        scene.queues.submit("q", Annotation(item_id=claimed.item.id, annotator="ann", label="a"))
    exporter = scene.exporter()
    both = [exporter.feedback(Filter(), Layout.CHAT), exporter.queue("q", allow_low_agreement=False)]
    his = exporter.feedback(Filter(end_user="him"), Layout.PREFERENCE)
    assert len(scene.files()) == 3
    gone = scene.desk().forget(end_user="her")
    assert (gone.feedback, gone.items) == (2, 2)
    assert gone.exports == tuple(sorted(export.uri for export in both))
    assert scene.files() == [his.uri.rpartition("/")[2]]
    assert {one.item_id for one in scene.queues.annotations("q")} == {"f-2", "f-3", "f-4", "f-5"}
    assert scene.queues.progress("q").items == 4
    assert scene.desk().forget(end_user="her") == (0, 0, ())
    assert scene.desk().forget(feedback_id="f-2").feedback == 1


def test_feedback_is_forgotten_when_its_time_is_over(scene: Scene) -> None:
    desk = scene.desk()
    desk.record(given(1, retention_days=10))
    desk.record(given(2))
    scene.exporter().feedback(Filter(), Layout.CHAT)
    scene.clock.advance(timedelta(days=10).total_seconds() - 1)
    desk.sweep()
    assert scene.feedback.ids(Filter()) == ["f-1", "f-2"]
    scene.clock.advance(1)
    desk.sweep()
    assert scene.feedback.ids(Filter()) == ["f-2"]
    assert scene.files() == []
    scene.clock.advance(timedelta(days=170).total_seconds())
    desk.sweep()
    assert scene.feedback.ids(Filter()) == []


def test_an_export_whose_file_could_not_be_removed_is_removed_at_the_next_sweep(scene: Scene) -> None:
    scene.feedback.record(given(), MONTH)
    scene.exporter().feedback(Filter(), Layout.CHAT)
    scene.feedback.forget(["f-1"])  # and the process dies here
    assert len(scene.files()) == 1
    scene.desk().sweep()
    assert scene.files() == []
    assert scene.exports.withdrawn() == []


class Interrupted(ExportShelf):
    """A store at which somebody is forgotten while a file is written."""

    def __init__(self, uri: str, desk: FeedbackDesk) -> None:
        super().__init__(uri)
        self._desk = desk

    def put(self, digest: str, content: bytes) -> None:
        self._desk.forget(end_user="somebody")
        super().put(digest, content)


def test_who_is_forgotten_while_a_file_is_written_is_not_in_it(scene: Scene) -> None:
    scene.feedback.record(given(), MONTH)
    store = Interrupted(f"file://{scene.folder}", scene.desk())
    with pytest.raises(errors.ExportForgotten):
        Exporter(scene.exports, store, scene.queues).feedback(Filter(), Layout.CHAT)
    assert scene.files() == []


def test_nothing_escapes_that_is_forgotten_while_others_use_it(scene: Scene) -> None:
    scene.queues.create(QueueSpec(name="q", guideline="?", choices=("a", "b"), annotators_per_item=1))
    for number in range(60):
        scene.feedback.record(given(number, end_user=f"user-{number % 6}"), MONTH)
    together, exporter, desk = threading.Barrier(8), scene.exporter(), scene.desk()

    def act(number: int) -> None:
        together.wait()
        try:
            if number < 6:
                desk.forget(end_user=f"user-{number}")
            elif number == 6:
                scene.queues.add_feedback("q", [f"f-{number}" for number in range(60)])
            else:
                exporter.feedback(Filter(), Layout.CHAT)
        except (errors.ExportForgotten, errors.ExportEmpty):
            pass

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(act, range(8)))
    desk.sweep()
    assert scene.feedback.ids(Filter()) == []
    assert scene.queues.progress("q").items == 0
    assert scene.files() == []


def test_the_same_rows_are_the_same_file(scene: Scene) -> None:
    for number in (3, 1, 2):
        scene.feedback.record(given(number), MONTH)
    first = scene.exporter().feedback(Filter(), Layout.PREFERENCE)
    scene.clock.advance(3600)
    assert scene.exporter().feedback(Filter(revision_digest=FIRST), Layout.PREFERENCE) == first
    scene.feedback.record(given(4, signal=Signal.COMMENT, comment="Hm."), MONTH)
    again = scene.exporter().feedback(Filter(), Layout.PREFERENCE)
    assert (again.digest, again.left_out) == (first.digest, {"no better answer": 1})
    with pytest.raises(errors.ExportEmpty, match="1 no better answer"):
        scene.exporter().feedback(Filter(signals=(Signal.COMMENT,)), Layout.PREFERENCE)


def test_of_many_that_export_the_same_at_once_all_get_the_same_file(scene: Scene) -> None:
    for number in range(40):
        scene.feedback.record(given(number), MONTH)
    together = threading.Barrier(8)

    def export(_: int) -> str:
        together.wait()
        return scene.exporter().feedback(Filter(), Layout.CHAT).digest

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(export, range(8)))) == 1
    assert len(scene.files()) == 1

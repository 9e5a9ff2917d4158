"""The record of queues, on each database that is supported: no place is given twice, and none is lost."""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest
from touchstone_data import errors
from touchstone_data.adapters.queue_database import QueueDatabase
from touchstone_data.core.queues import MAX_ITEMS, Annotation, Item, QueueSpec
from touchstone_runtime import databases
from touchstone_runtime.testing import FakeClock

SPEC = QueueSpec(name="q", guideline="Say which.", choices=("a", "b"), annotators_per_item=2, lease_seconds=60)
PEOPLE = ("ann", "ben", "cat", "dan")
LINEAGE = {"feedback_id": "", "revision_digest": "", "source_digest": "sha256:0"}


class Scene(NamedTuple):
    queues: QueueDatabase
    clock: FakeClock

    def fill(self, count: int, spec: QueueSpec = SPEC) -> None:
        self.queues.create(spec)
        self.queues.add(spec.name, items(range(count)))

    def claim(self, annotator: str) -> str:
        claimed = self.queues.claim("q", annotator)
        return claimed.item.id if claimed else ""

    def submit(self, item_id: str, annotator: str, label: str = "a") -> None:
        self.queues.submit("q", Annotation(item_id=item_id, annotator=annotator, label=label))


def items(numbers: Sequence[int]) -> list[Item]:
    return [Item(id=f"i-{number}", fields={"text": f"Text {number}."}, lineage=LINEAGE) for number in numbers]


@pytest.fixture
def scene(database_url: str) -> Iterator[Scene]:
    engine, clock = databases.connect(database_url), FakeClock()
    yield Scene(QueueDatabase(engine, now=clock), clock)
    engine.dispose()


def test_a_queue_is_read_as_it_was_made_and_items_are_added_once(scene: Scene) -> None:
    made = scene.queues.create(SPEC)
    assert made.spec == SPEC
    assert scene.queues.create(SPEC) == made
    assert scene.queues.add("q", items(range(5))) == 5
    assert scene.queues.add("q", items(range(7))) == 2
    assert scene.queues.names() == ["q"]
    with pytest.raises(errors.QueueNotFound):
        scene.queues.add("other", [])


def test_who_holds_an_item_gets_it_again_and_the_time_with_it(scene: Scene) -> None:
    scene.fill(3)
    first = scene.queues.claim("q", "ann")
    scene.clock.advance(40)
    again = scene.queues.claim("q", "ann")
    assert first is not None
    assert again is not None
    assert again.item == first.item
    assert (again.until - first.until).total_seconds() == 40


def test_an_item_goes_to_as_many_different_people_as_are_to_annotate_it(scene: Scene) -> None:
    scene.fill(1)
    assert [scene.claim(person) for person in PEOPLE] == ["i-0", "i-0", "", ""]
    scene.submit("i-0", "ann")
    scene.submit("i-0", "ben", "b")
    assert [scene.claim(person) for person in PEOPLE] == ["", "", "", ""]
    progress = scene.queues.progress("q")
    assert (progress.items, progress.complete, progress.annotations, progress.annotators) == (1, 1, 2, 2)


def test_an_abandoned_claim_goes_to_somebody_else(scene: Scene) -> None:
    scene.fill(1)
    assert [scene.claim(person) for person in ("ann", "ben", "cat")] == ["i-0", "i-0", ""]
    scene.submit("i-0", "ben")
    scene.clock.advance(60)
    assert scene.claim("cat") == "i-0"
    with pytest.raises(errors.NotClaimed, match="others have it now"):
        scene.submit("i-0", "ann")
    scene.submit("i-0", "cat")
    assert [one.annotator for one in scene.queues.annotations("q")] == ["ben", "cat"]


def test_a_late_label_is_taken_while_the_place_is_free(scene: Scene) -> None:
    scene.fill(1)
    scene.claim("ann")
    scene.clock.advance(3600)
    scene.submit("i-0", "ann")
    assert [one.annotator for one in scene.queues.annotations("q")] == ["ann"]


def test_a_label_is_given_once_and_never_changed(scene: Scene) -> None:
    scene.fill(1)
    scene.claim("ann")
    scene.submit("i-0", "ann", "a")
    scene.submit("i-0", "ann", "a")
    with pytest.raises(errors.AnnotationTaken):
        scene.submit("i-0", "ann", "b")
    with pytest.raises(errors.NotClaimed, match="is annotated already"):
        scene.queues.skip("q", "i-0", "ann", "Too late.")
    assert len(scene.queues.annotations("q")) == 1


def test_who_skipped_an_item_does_not_see_it_again_and_others_do(scene: Scene) -> None:
    scene.fill(1)
    scene.claim("ann")
    scene.queues.skip("q", "i-0", "ann", "It is cut off.")
    scene.queues.skip("q", "i-0", "ann", "It is cut off.")
    assert scene.claim("ann") == ""
    with pytest.raises(errors.NotClaimed, match="was skipped"):
        scene.submit("i-0", "ann")
    assert [scene.claim(person) for person in ("ben", "cat", "dan")] == ["i-0", "i-0", ""]
    assert scene.queues.progress("q").skipped == 1


def test_nobody_labels_what_he_did_not_claim(scene: Scene) -> None:
    scene.fill(1)
    with pytest.raises(errors.NotClaimed, match="was not claimed"):
        scene.submit("i-0", "ann")
    with pytest.raises(errors.ItemNotFound):
        scene.submit("i-9", "ann")


def test_of_eight_people_at_once_no_two_hold_the_same_place(scene: Scene) -> None:
    scene.fill(12)
    people = [f"p-{number}" for number in range(8)]
    together = threading.Barrier(8)
    doubled: list[str] = []

    def work(person: str) -> list[str]:
        together.wait()
        mine: list[str] = []
        while item := scene.claim(person):
            if item in mine:
                doubled.append(item)
            mine.append(item)
            scene.submit(item, person, "ab"[len(mine) % 2])
        return mine

    with ThreadPoolExecutor(8) as pool:
        labelled = [item for mine in pool.map(work, people) for item in mine]
    for person in people:  # whoever found nothing left may have missed what another held at that moment
        while item := scene.claim(person):
            scene.submit(item, person)
            labelled.append(item)
    assert doubled == []
    assert Counter(labelled) == {f"i-{number}": 2 for number in range(12)}
    assert len(scene.queues.annotations("q")) == 24


def test_of_eight_claims_at_once_on_the_last_item_as_many_win_as_there_are_places(scene: Scene) -> None:
    scene.fill(1)
    together = threading.Barrier(8)

    def claim(number: int) -> str:
        together.wait()
        return scene.claim(f"p-{number}")

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(claim, range(8))) == [*[""] * 6, "i-0", "i-0"]
    assert scene.queues.progress("q").claimed == 2


def test_a_queue_that_would_hold_too_much_takes_nothing(scene: Scene) -> None:
    scene.queues.create(SPEC)
    with pytest.raises(errors.QueueFull):
        scene.queues.add("q", items(range(MAX_ITEMS + 1)))
    assert scene.queues.progress("q").items == 0

"""Whatever people do and whenever: places of items are given as a plain model of a queue gives them."""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from touchstone_data import errors
from touchstone_data.adapters.queue_database import QueueDatabase
from touchstone_data.core.queues import Annotation, Item, QueueSpec
from touchstone_runtime import databases
from touchstone_runtime.testing import FakeClock

LEASE = 60
PEOPLE = st.sampled_from(["ann", "ben", "cat"])
ITEMS = st.sampled_from(["i-0", "i-1"])
LABELS = st.sampled_from(["a", "b"])
LINEAGE = {"feedback_id": "", "revision_digest": "", "source_digest": ""}


@dataclass
class Places:
    """What one item was to each person."""

    wanted: int
    until: dict[str, float] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)

    def claimed(self, now: float) -> set[str]:
        through = self.skipped | self.labels.keys()
        return {person for person, until in self.until.items() if until > now and person not in through}

    def taken(self, now: float, *, but: str = "") -> int:
        return len((self.claimed(now) | self.labels.keys()) - {but})

    def is_free_for(self, person: str, now: float) -> bool:
        return person not in self.labels.keys() | self.skipped and self.taken(now) < self.wanted


class OneForEachItem(RuleBasedStateMachine):
    wanted = 1

    def __init__(self) -> None:
        super().__init__()
        self.clock, self.engine = FakeClock(), databases.connect("sqlite://")
        self.queues = QueueDatabase(self.engine, now=self.clock)
        spec = QueueSpec(
            name="q", guideline="?", choices=("a", "b"), annotators_per_item=self.wanted, lease_seconds=LEASE
        )
        self.queues.create(spec)
        self.model = {f"i-{number}": Places(self.wanted) for number in range(2)}
        self.queues.add("q", [Item(id=item, fields={}, lineage=LINEAGE) for item in self.model])

    def teardown(self) -> None:
        self.engine.dispose()

    @property
    def now(self) -> float:
        return self.clock.monotonic()

    @rule(seconds=st.sampled_from([1, 59, 60]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(person=PEOPLE)
    def claim(self, person: str) -> None:
        held = [item for item, places in self.model.items() if person in places.claimed(self.now)]
        free = [item for item, places in self.model.items() if places.is_free_for(person, self.now)]
        claimed = self.queues.claim("q", person)
        if claimed is None:
            assert not held
            assert not free
            return
        assert claimed.item.id in (held or free)
        self.model[claimed.item.id].until[person] = self.now + LEASE

    @rule(person=PEOPLE, item=ITEMS, label=LABELS)
    def submit(self, person: str, item: str, label: str) -> None:
        places = self.model[item]
        is_late = places.until.get(person, 0) <= self.now
        may = (
            places.labels.get(person) == label
            if person in places.labels
            else person in places.until
            and person not in places.skipped
            and not (is_late and places.taken(self.now, but=person) >= self.wanted)
        )
        try:
            self.queues.submit("q", Annotation(item_id=item, annotator=person, label=label))
        except (errors.NotClaimed, errors.AnnotationTaken):
            assert not may
        else:
            assert may
            places.labels[person] = label

    @rule(person=PEOPLE, item=ITEMS)
    def skip(self, person: str, item: str) -> None:
        places = self.model[item]
        may = person in places.until and person not in places.labels
        try:
            self.queues.skip("q", item, person, "Cut off.")
        except errors.NotClaimed:
            assert not may
        else:
            assert may
            places.skipped.add(person)

    @invariant()
    def no_place_is_given_twice_and_no_label_is_lost(self) -> None:
        given = {(one.item_id, one.annotator): one.label for one in self.queues.annotations("q")}
        assert given == {
            (item, person): label for item, places in self.model.items() for person, label in places.labels.items()
        }
        assert all(places.taken(self.now) <= self.wanted for places in self.model.values())
        progress = self.queues.progress("q")
        assert progress.complete == sum(len(places.labels) == self.wanted for places in self.model.values())
        assert progress.claimed == sum(len(places.claimed(self.now)) for places in self.model.values())


class TwoForEachItem(OneForEachItem):
    wanted = 2


TestOneForEachItem = OneForEachItem.TestCase
TestOneForEachItem.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestTwoForEachItem = TwoForEachItem.TestCase
TestTwoForEachItem.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)

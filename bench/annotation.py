"""What annotation queues and feedback cost at their largest, in one process over a database.

    python bench/annotation.py [SQLALCHEMY-URL]

Without an address it is SQLite in a folder that goes again. A database that is given must be empty.
"""

import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, insert, update
from touchstone_data.adapters.curation_tables import ItemRow, SlotRow
from touchstone_data.adapters.export_database import ExportDatabase
from touchstone_data.adapters.feedback_database import FeedbackDatabase
from touchstone_data.adapters.queue_database import QueueDatabase, State
from touchstone_data.core import reliability
from touchstone_data.core.feedback import Feedback, Signal, Turn
from touchstone_data.core.queues import MAX_ITEMS, Annotation, Item, QueueSpec
from touchstone_runtime import databases

SPEC = QueueSpec(name="bench", guideline="Say which.", choices=("a", "b", "c", "d", "e"))
LINEAGE = {"feedback_id": "", "revision_digest": "", "source_digest": ""}
CALLS = 200
BEFORE = datetime(2026, 1, 1)  # noqa: DTZ001 - as databases hold times
PEOPLE = ("ann", "ben", "cat")


@contextmanager
def timed(what: str, times: int = 1) -> Iterator[None]:
    """Print how long something took, each time."""
    begun = time.perf_counter()
    yield
    print(f"{what}: {(time.perf_counter() - begun) / times * 1e3:.1f} ms")


def now() -> datetime:
    """Tell the time."""
    return datetime.now(UTC)


def label(engine: Engine, person: str, rng: random.Random) -> None:
    """Have a person label all items at once, right for two of three."""
    common = {"queue": SPEC.name, "annotator": person, "state": State.SUBMITTED, "reason": "", "until": BEFORE}
    rows = []
    for number in range(MAX_ITEMS):
        place = number % 5 if rng.random() < 0.67 else rng.randrange(5)
        rows.append({**common, "item_id": str(number), "label": SPEC.choices[place]})
    with engine.begin() as connection:
        connection.execute(insert(SlotRow), rows)
        given = ItemRow.submitted + 1
        connection.execute(update(ItemRow).values(submitted=given, is_open=given < ItemRow.wanted))


def annotate(engine: Engine) -> None:
    """Measure a queue that is full."""
    queues, exports = QueueDatabase(engine, now=now), ExportDatabase(engine)
    queues.create(SPEC)
    items = [Item(id=str(number), fields={"text": "x" * 500}, lineage=LINEAGE) for number in range(MAX_ITEMS)]
    with timed(f"add {MAX_ITEMS} items"):
        queues.add(SPEC.name, items)
    with timed("claim and submit", CALLS):
        for _ in range(CALLS):
            claimed = queues.claim(SPEC.name, "dan")
            assert claimed is not None
            queues.submit(SPEC.name, Annotation(item_id=claimed.item.id, annotator="dan", label="a"))
    with engine.begin() as connection:
        connection.execute(SlotRow.__table__.delete())
        connection.execute(update(ItemRow).values(submitted=0, is_open=True))
    rng = random.Random(1)
    for person in PEOPLE[:2]:
        label(engine, person, rng)
    with timed("find that nothing is left for somebody, all items open"):
        assert queues.claim(SPEC.name, "ann") is None
    label(engine, PEOPLE[2], rng)
    with timed("agreement with its interval, parts and pairs"):
        found = reliability.judge(SPEC, queues.annotations(SPEC.name))
    print(f"  alpha {found.alpha:.3f}, {found.interval}")
    with timed("export"):
        made = exports.of_queue(SPEC.name, lambda digest: digest)
    print(f"  {made.records} records, {len(made.content) / 2**20:.0f} MiB")


def give(engine: Engine) -> None:
    """Measure recording, one after the other."""
    record = FeedbackDatabase(engine, now=now)
    with timed("record feedback", CALLS):
        for number in range(CALLS):
            one = Feedback(
                id=str(number), revision_digest="sha256:" + "0" * 64, messages=(Turn("user", "x" * 500),),
                response="y" * 500, signal=Signal.THUMB_UP, has_consent=True,
            )  # fmt: skip
            record.record(one, timedelta(days=1))


def main() -> None:
    """Measure."""
    with tempfile.TemporaryDirectory() as folder:
        engine = databases.connect(sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{folder}/bench.sqlite")
        annotate(engine)
        give(engine)
        engine.dispose()


if __name__ == "__main__":
    main()

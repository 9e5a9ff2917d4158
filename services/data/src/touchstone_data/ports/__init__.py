"""What the use cases need of the world, in the words of data: a module a subject."""

from touchstone_data.ports.feedback import Exporting, Exports, ExportStore, FeedbackRecord, Forgotten
from touchstone_data.ports.models import Inference, Question, Trials
from touchstone_data.ports.pipelines import JobKind, Pipeline, Pipelines, Sender, Unit
from touchstone_data.ports.queues import ClaimedItem, Queue, Queues
from touchstone_data.ports.snapshots import (
    Detectors,
    Reporter,
    Shelf,
    SnapshotFolder,
    TokenCounter,
    TokenCounters,
    Written,
)
from touchstone_data.ports.workshops import Answers, Heard, Left, Opened, Sources, Wanted, Workshop, Workshops

__all__ = [
    "Answers",
    "ClaimedItem",
    "Detectors",
    "ExportStore",
    "Exporting",
    "Exports",
    "FeedbackRecord",
    "Forgotten",
    "Heard",
    "Inference",
    "JobKind",
    "Left",
    "Opened",
    "Pipeline",
    "Pipelines",
    "Question",
    "Queue",
    "Queues",
    "Reporter",
    "Sender",
    "Shelf",
    "SnapshotFolder",
    "Sources",
    "TokenCounter",
    "TokenCounters",
    "Trials",
    "Unit",
    "Wanted",
    "Workshop",
    "Workshops",
    "Written",
]

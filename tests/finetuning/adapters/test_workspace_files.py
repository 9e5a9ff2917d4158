"""What a trainer writes into its workspace, read while it writes."""

import json
from pathlib import Path

import pytest
from touchstone_finetuning.adapters import workspace_files
from touchstone_finetuning.core import codec, outcome
from touchstone_finetuning.core.outcome import CheckpointWritten, Event, Metric, Note, Progress


@pytest.mark.parametrize(
    "event",
    [
        Progress(step=1, total_steps=10, epoch=0.1, time=1.5),
        Metric(name="train_loss", value=1.25, step=1),
        Metric(name="train_loss", value=None, step=1),
        CheckpointWritten(step=2, folder="/checkpoints/step-2"),
        Note(message="3 records were cut,\nand more."),
    ],
)
def test_an_event_comes_back_from_its_line(event: Event, tmp_path: Path) -> None:
    (tmp_path / outcome.EVENTS).write_text(codec.to_line(event))
    assert workspace_files.Events(tmp_path).read() == [codec.to_fields(event)]


def test_each_event_is_told_once_and_one_that_is_not_whole_is_told_when_it_is(tmp_path: Path) -> None:
    events, (first, second) = workspace_files.Events(tmp_path), ({"kind": "note", "n": n} for n in (1, 2))
    assert events.read() == []
    line = json.dumps(second)
    with (tmp_path / outcome.EVENTS).open("w") as file:
        file.write(f"{json.dumps(first)}\n{line[:9]}")
        file.flush()
        assert events.read() == [first]
        assert events.read() == []
        file.write(f"{line[9:]}\n")
        file.flush()
        assert events.read() == [second]

"""What a run tells, read by whoever watches it."""

import pytest
from touchstone_finetuning.core import codec, outcome
from touchstone_finetuning.core.outcome import ArtifactType, CheckpointWritten, Event, Metric, Note, Progress, Result


@pytest.mark.parametrize(
    "event",
    [
        Progress(step=1, total_steps=10, epoch=0.1, time=1.5),
        Metric(name="train_loss", value=1.25, step=1),
        Metric(name="train_loss", value=None, step=1),
        CheckpointWritten(step=2, folder="/checkpoints/step-2"),
        Note(message="3 records were cut."),
    ],
)
def test_an_event_comes_back_from_its_line(event: Event) -> None:
    line = codec.to_line(event)
    assert line.count("\n") == 1
    assert outcome.read_event(line) == event


def test_a_line_that_was_cut_off_is_no_event() -> None:
    assert outcome.read_event('{"kind": "progress", "st') is None


def test_a_whole_line_of_no_known_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="no kind of event 'weather'"):
        outcome.read_event('{"kind": "weather"}')


def test_a_result_comes_back_from_json() -> None:
    result = Result(
        folder="/out", size_bytes=3, type=ArtifactType.LORA_ADAPTER, rank=8, metrics={"train_loss": 0.5}, steps=4,
        resumed_from_step=2, peak_memory_bytes=9, tokens_trained=100,
    )  # fmt: skip
    assert codec.from_json(codec.to_json(result), Result) == result

"""Stages: what needs one record at a time is done together, what needs all of them in between."""

from touchstone_data.core import planning
from touchstone_data.core.planning import StageKind

NAMES = ["clean", "exact", "fuzzy", "chat"]


def test_steps_of_records_share_a_stage_and_a_corpus_step_decides_after_it() -> None:
    found = planning.stages([False, True, True, False])
    kinds = [stage.kind for stage in found]
    work, decide = StageKind.WORK, StageKind.DECIDE
    assert kinds == [StageKind.READ, work, decide, work, decide, work, StageKind.WRITE]
    assert [stage.steps for stage in found] == [(), (0,), (1,), (), (2,), (3,), ()]
    assert [stage.observes for stage in found if stage.kind is work] == [1, 2, None]
    assert [stage.hears for stage in found if stage.kind is work] == [None, 1, 2]
    assert [stage.input for stage in found if stage.kind is work] == [0, 1, 3]


def test_a_decision_at_the_end_is_still_heard() -> None:
    found = planning.stages([True])
    assert found[-2].kind is StageKind.WORK
    assert found[-2].hears == 0
    assert found[-1].input == found[-2].number


def test_stages_are_called_after_their_steps() -> None:
    found = planning.stages([False, True, True, False])
    assert [planning.title(stage, NAMES) for stage in found] == [
        "Reading", "clean, exact", "exact", "fuzzy", "fuzzy", "chat", "Writing",
    ]  # fmt: skip

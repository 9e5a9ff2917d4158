"""Workspaces: held by one, kept for the next attempt, swept when nobody comes."""

import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from touchstone_finetuning.adapters.workspaces import FolderWorkspaces
from touchstone_runtime.testing import FakeClock

DAY = 86_400.0


@pytest.fixture
def workspaces(tmp_path: Path) -> FolderWorkspaces:
    return FolderWorkspaces(tmp_path, retention=timedelta(days=2), clock=lambda: time.time() + DAY)


def test_a_later_attempt_finds_what_an_earlier_one_left(workspaces: FolderWorkspaces) -> None:
    with workspaces.enter("run") as first:
        (first.folder / "checkpoint").write_text("step 3")
    with workspaces.enter("run") as second, workspaces.enter("other") as other:
        assert (second.folder / "checkpoint").read_text() == "step 3"
        assert list(other.folder.glob("checkpoint")) == []


def test_a_run_is_held_by_one_at_a_time(workspaces: FolderWorkspaces) -> None:
    entered = threading.Event()

    def enter() -> None:
        with workspaces.enter("run"):
            entered.set()

    thread = threading.Thread(target=enter)
    with workspaces.enter("run"):
        thread.start()
        assert not entered.wait(0.2)
    assert entered.wait(5)
    thread.join()


def test_what_is_done_is_swept_before_long_and_not_at_once(tmp_path: Path) -> None:
    clock = FakeClock(start=datetime.now(UTC))
    workspaces = FolderWorkspaces(tmp_path, retention=timedelta(days=2), clock=lambda: clock().timestamp())
    with workspaces.enter("done") as done:
        workspaces.retire(done)
    assert workspaces.sweep() == 0
    clock.advance(3600)
    assert workspaces.sweep() == 1


def test_only_what_nobody_entered_for_long_is_swept(workspaces: FolderWorkspaces) -> None:
    with workspaces.enter("old") as old, workspaces.enter("held") as held, workspaces.enter("young") as young:
        for folder in (old.folder, held.folder):
            os.utime(folder / "run", (time.time() - 3 * DAY,) * 2)
    with workspaces.enter("held"):
        os.utime(held.folder / "run", (time.time() - 3 * DAY,) * 2)
        assert workspaces.sweep() == 1
    assert not old.folder.exists()
    assert held.folder.exists()
    assert young.folder.exists()

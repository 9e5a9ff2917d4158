"""Workspaces: held by one, kept for the next attempt, swept when nobody comes."""

import os
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from touchstone_finetuning.adapters.workspaces import FolderWorkspaces

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

"""Containers as real processes."""

import asyncio
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from touchstone_local.kubelet.adapters.processes import MARK, LocalProcesses
from touchstone_local.kubelet.adapters.records import FileRecords, log_path
from touchstone_local.kubelet.core.launching import Launch
from touchstone_local.kubelet.core.records import ContainerRecord, PodRecord, Run
from touchstone_local.kubelet.errors import CannotStart
from touchstone_local.processes import marked

POD = PodRecord(
    uid="u-1",
    namespace="default",
    name="chat",
    ip="127.88.9.100",
    started_at=datetime.now(UTC),
    containers=(ContainerRecord(name="main"),),
)
ENVIRON = {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"}


def python(code: str, *arguments: str) -> Launch:
    return Launch(command=(sys.executable, "-c", code, *arguments), environ=ENVIRON, folder="")


def wait_until(claim) -> None:
    give_up_at = time.monotonic() + 20
    while not claim():
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


def end(processes: LocalProcesses, run: Run) -> int | None:
    wait_until(lambda: not processes.is_running(run))
    return processes.exit_code(POD, "main")


@pytest.fixture
def processes(tmp_path: Path) -> LocalProcesses:
    return LocalProcesses(tmp_path)


def test_output_environment_and_exit_code_are_the_process_own(processes: LocalProcesses, tmp_path: Path) -> None:
    code = "import os, sys; print(sys.argv[1], sorted(os.environ)); sys.exit(7)"
    run = processes.start(POD, "main", python(code, "$HOME; 'quoted' \"too\""))
    assert end(processes, run) == 7
    said = log_path(tmp_path, "default", "chat", "main").read_text()
    assert "$HOME; 'quoted' \"too\"" in said
    assert "PATH" in said
    assert "HOME'" not in said


def test_asking_reaches_the_process_and_its_own_answer_counts(processes: LocalProcesses, tmp_path: Path) -> None:
    code = "import signal, sys, time\nsignal.signal(15, lambda *_: sys.exit(5))\nprint('up')\ntime.sleep(60)"
    run = processes.start(POD, "main", python(code))
    wait_until(lambda: "up" in log_path(tmp_path, "default", "chat", "main").read_text())
    processes.ask_to_end(run)
    assert end(processes, run) == 5


def test_the_default_answer_to_being_asked_is_143(processes: LocalProcesses, tmp_path: Path) -> None:
    run = processes.start(POD, "main", python("import time; print('up'); time.sleep(60)"))
    wait_until(lambda: "up" in log_path(tmp_path, "default", "chat", "main").read_text())
    processes.ask_to_end(run)
    assert end(processes, run) == 143


def test_a_process_that_was_killed_by_someone_else_is_known_as_killed(processes: LocalProcesses) -> None:
    run = processes.start(POD, "main", python("import time; time.sleep(60)"))
    wait_until(lambda: psutil.Process(run.pid).children())
    psutil.Process(run.pid).children()[0].kill()
    assert end(processes, run) == 137


def test_killing_takes_what_the_process_started_too(processes: LocalProcesses, tmp_path: Path) -> None:
    code = "import subprocess, sys, time\np = subprocess.Popen(['sleep', '60'])\nprint(p.pid)\ntime.sleep(60)"
    run = processes.start(POD, "main", python(code))
    log = log_path(tmp_path, "default", "chat", "main")
    wait_until(lambda: log.read_text().strip())
    grandchild = int(log.read_text())
    processes.kill(run)
    wait_until(lambda: not processes.is_running(run))
    wait_until(lambda: not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == "zombie")


def test_another_kubelet_sees_the_process_and_how_it_ended(processes: LocalProcesses, tmp_path: Path) -> None:
    run = processes.start(POD, "main", python("import time; time.sleep(0.5)"))
    heir = LocalProcesses(tmp_path)
    assert heir.is_running(run)
    assert end(heir, run) == 0


def test_a_pid_that_was_given_to_another_process_is_not_ours(processes: LocalProcesses) -> None:
    stranger = Run(pid=os.getpid(), create_time=1.0, started_at=datetime.now(UTC))
    assert not processes.is_running(stranger)
    processes.kill(stranger)


def test_what_was_not_recorded_is_killed_and_what_was_is_not(processes: LocalProcesses, tmp_path: Path) -> None:
    kept, stray = (processes.start(POD, "main", python("import time; time.sleep(60)")) for _ in range(2))
    heir = LocalProcesses(tmp_path)
    # A process that was just forked has neither its session nor its variables yet.
    wait_until(lambda: len(marked(MARK, str(tmp_path))) == 2)
    assert heir.kill_strays([kept]) == 1
    wait_until(lambda: not processes.is_running(stray))
    assert processes.is_running(kept)
    processes.kill(kept)
    wait_until(lambda: not processes.is_running(kept))


async def test_the_end_is_told(processes: LocalProcesses) -> None:
    run = processes.start(POD, "main", python("pass"))
    told = asyncio.Event()
    processes.on_exit(run, told.set)
    async with asyncio.timeout(20):
        await told.wait()
    assert not processes.is_running(run)


def test_a_working_folder_that_does_not_exist_is_said(processes: LocalProcesses, tmp_path: Path) -> None:
    launch = Launch(command=("true",), environ=ENVIRON, folder=str(tmp_path / "absent"))
    with pytest.raises(CannotStart, match="absent"):
        processes.start(POD, "main", launch)


def test_a_program_that_does_not_exist_ends_with_127(processes: LocalProcesses) -> None:
    launch = Launch(command=("no-such-program",), environ=ENVIRON, folder="")
    assert end(processes, processes.start(POD, "main", launch)) == 127


def test_temporary_files_live_and_go_with_the_pod(processes: LocalProcesses, tmp_path: Path) -> None:
    code = "import tempfile; print(tempfile.mkstemp()[1])"
    launch = Launch(command=(sys.executable, "-c", code), environ=ENVIRON, folder="", has_scratch=True)
    assert end(processes, processes.start(POD, "main", launch)) == 0
    written = Path(log_path(tmp_path, "default", "chat", "main").read_text().strip())
    assert written.is_relative_to(tmp_path / "default_chat")
    FileRecords(tmp_path).forget(POD)
    assert not written.exists()


def test_records_survive_and_a_broken_one_is_left_out(tmp_path: Path) -> None:
    records = FileRecords(tmp_path)
    records.save(POD)
    (tmp_path / "default_broken").mkdir()
    (tmp_path / "default_broken" / "pod.json").write_text("{")
    assert FileRecords(tmp_path).load() == [POD]
    records.forget(POD)
    assert FileRecords(tmp_path).load() == []
    assert (tmp_path / "default_chat").is_dir()

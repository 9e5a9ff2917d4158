"""Processes that outlive this program, each with a log and a record."""

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import places
import psutil

STOP_SECONDS = 20.0


def is_running(name: str) -> bool:
    """Tell whether a process that was started still runs."""
    return _found(name) is not None


def start(name: str, command: Sequence[str], *, environ: dict[str, str] | None = None) -> None:
    """Start a process, unless it runs."""
    if is_running(name):
        return
    places.LOGS.mkdir(parents=True, exist_ok=True)
    with (places.LOGS / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **(environ or {})},
        )
    facts = {"pid": process.pid, "created": psutil.Process(process.pid).create_time()}
    _record(name).parent.mkdir(parents=True, exist_ok=True)
    _record(name).write_text(json.dumps(facts))


def stop(name: str) -> None:
    """Stop a process; one that does not end in time is killed."""
    process = _found(name)
    if process is not None:
        process.send_signal(signal.SIGTERM)
        _, alive = psutil.wait_procs([process], timeout=STOP_SECONDS)
        for stubborn in alive:
            stubborn.kill()
            stubborn.wait(timeout=STOP_SECONDS)
    _record(name).unlink(missing_ok=True)


def last_words(name: str, lines: int = 8) -> str:
    """Return the end of a process's log."""
    log = places.LOGS / f"{name}.log"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""


def _record(name: str) -> Path:
    return places.STATE / "processes" / f"{name}.json"


def _found(name: str) -> psutil.Process | None:
    """Find the process of a record: the number may have gone to another one since."""
    try:
        facts = json.loads(_record(name).read_text())
        process = psutil.Process(facts["pid"])
        is_ours = abs(process.create_time() - facts["created"]) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, psutil.NoSuchProcess):
        return None
    return process if is_ours else None

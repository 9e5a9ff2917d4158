"""A trial: a process that holds the program, and one that holds the tests. Standard library only; Linux.

Run by `main` in an interpreter of its own. The order comes by standard input, the finding goes to standard output with
the order's nonce, which the program's process never holds. Nothing of either process is trusted but that line.
"""

import json
import os
import signal
import socket
import sys
import types
from collections.abc import Callable
from typing import Any

from touchstone_runtime.sandbox.confinement import confine
from touchstone_runtime.sandbox.exchange import Gone, Peer, module

PROGRAM = "<program>"
MAX_TEXT = 500


def main(source_folder: str, memory_bytes: str, cpu_seconds: str, bpf: str) -> None:
    """Carry out one trial."""
    sys.path.remove(source_folder)

    def confined() -> None:
        confine(memory_bytes=int(memory_bytes), cpu_seconds=int(cpu_seconds), bpf=bytes.fromhex(bpf))

    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        ours.close()
        _hold(theirs, confined)
    theirs.close()
    order = json.load(sys.stdin)
    report, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)  # what tests print is no finding
    confined()
    finding = _test(Peer(ours, only_calls=True), order)
    os.write(report, json.dumps({**finding, "nonce": order["nonce"]}).encode())
    os._exit(0)


def _hold(line: socket.socket, confined: Callable[[], None]) -> None:
    """Be the process that holds the program: without the order's stream, and with nowhere to print to."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the process
    peer = Peer(line, only_calls=False)
    peer.offer(lambda program: _load(peer, program))
    confined()
    try:
        peer.serve()
    except Gone:
        os._exit(0)
    finally:
        os._exit(1)


def _load(peer: Peer, program: str) -> list[tuple[str, str, Any]]:
    """Run the program and tell its names: modules by what they are called, all else as it is."""
    space = types.ModuleType("program")
    sys.modules["program"] = space
    exec(compile(program, PROGRAM, "exec"), space.__dict__)  # noqa: S102 - what all this is for
    found: list[tuple[str, str, Any]] = []
    for name, value in list(space.__dict__.items()):
        if name.startswith("__"):
            continue
        is_module = isinstance(value, types.ModuleType)
        found.append((name, "module" if is_module else "value", value.__name__ if is_module else value))
    return found


def _test(peer: Peer, order: dict[str, Any]) -> dict[str, Any]:
    """Load the program over there, run the tests over here, and say what came of it in time."""
    loader = 0
    signal.signal(signal.SIGALRM, _late)
    signal.setitimer(signal.ITIMER_REAL, order["seconds"])
    try:
        names = peer.ask("call", loader, (order["program"],), {})
    except BaseException as error:  # noqa: BLE001 - whatever is raised is the finding
        return {"loaded": False, "passed": False, "error": _told(error)}
    space: dict[str, Any] = {"__name__": "tests"}
    for name, kind, value in names:
        space[str(name)] = module(str(value)) if kind == "module" else value
    try:
        for test in order["tests"]:
            exec(compile(test, "<test>", "exec"), space)  # noqa: S102 - the dataset's, confined
    except BaseException as error:  # noqa: BLE001 - whatever is raised is the finding
        return {"loaded": True, "passed": False, "error": _told(error)}
    return {"loaded": True, "passed": True, "error": ""}


class _Late(BaseException):
    """Time is up. No test catches it by catching exceptions."""


def _late(_number: int, _frame: types.FrameType | None) -> None:
    raise _Late


def _told(error: BaseException) -> str:
    return "not done in time" if isinstance(error, _Late) else f"{type(error).__name__}: {error}"[:MAX_TEXT]

"""Trials of code that models wrote, each in processes of its own."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import touchstone_runtime
from touchstone_runtime.errors import FailedPrecondition
from touchstone_runtime.sandbox import confinement

SYSTEM_CALLS = """
access arch_prctl brk clock_getres clock_gettime clock_nanosleep close close_range dup dup2 dup3 epoll_create
epoll_create1 epoll_ctl epoll_pwait epoll_wait eventfd2 exit exit_group faccessat faccessat2 fcntl fstat fstatfs futex
getcwd getdents64 getegid geteuid getgid getpid getppid getrandom getrusage gettid gettimeofday getuid lseek lstat
madvise membarrier mmap mprotect mremap munmap nanosleep newfstatat open openat pipe pipe2 poll ppoll pread64 pselect6
read readlink readlinkat readv recvfrom restart_syscall rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigreturn
rt_sigtimedwait sched_getaffinity sched_yield select sendto set_robust_list set_tid_address setitimer shutdown
sigaltstack stat statx sysinfo time times uname write writev
"""
"""What a computation needs of the kernel. Sockets can be had in pairs only, threads but no processes."""
MAX_REPORT_BYTES = 1 << 16
START_SECONDS = 20
"""For the interpreter to start, beside the program's own time, on a machine that is busy."""
LATE = "not done in time"
_CLONE_THREAD = 0x00010000
_FIONBIO = 0x5421
_AF_UNIX = 1
_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); from touchstone_runtime.sandbox import trial; "
    "trial.main(*sys.argv[1:])"
)


class ConfinementUnavailable(FailedPrecondition):
    """This machine cannot confine code that a model wrote."""

    reason = "CONFINEMENT_UNAVAILABLE"

    def __init__(self, cause: str) -> None:
        super().__init__(
            f"The machine of the worker cannot confine code that a model wrote: {cause}. Nothing was run.",
            metadata={"cause": cause},
        )


class Trial(NamedTuple):
    """What came of a program."""

    loaded: bool
    """It ran as far as its tests."""
    passed: bool
    error: str
    """Why it did not pass."""


async def run(program: str, tests: Sequence[str], *, timeout_seconds: int, memory_bytes: int) -> Trial:
    """Run a program against its tests, confined by the kernel.

    Args:
        program: Python.
        tests: Python that sees the program's names; they pass when none of them raises.
        timeout_seconds: For the program and its tests together.
        memory_bytes: The most address space, of the program and of its tests each.

    Raises:
        ConfinementUnavailable: This machine cannot confine it; nothing was run.
    """
    bpf = _filter()
    nonce = secrets.token_hex(16)
    order = {"program": program, "tests": list(tests), "seconds": timeout_seconds, "nonce": nonce}
    arguments = (_source(), str(memory_bytes), str(timeout_seconds + 1), bpf.hex())
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "-B", "-c", _START, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={},
        cwd="/",
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(timeout_seconds + START_SECONDS):
            report = await _exchanged(process, json.dumps(order).encode())
    except TimeoutError:
        return Trial(loaded=True, passed=False, error=LATE)
    finally:
        await _ended(process)
    return _finding(report, nonce, process.returncode)


async def _exchanged(process: asyncio.subprocess.Process, order: bytes) -> bytes:
    if process.stdin is None or process.stdout is None:
        raise AssertionError("both are pipes")
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(order)
        await process.stdin.drain()
        process.stdin.close()
    try:
        return await process.stdout.readexactly(MAX_REPORT_BYTES)
    except asyncio.IncompleteReadError as error:
        return error.partial


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Kill what is left of both processes: they are a group of their own and cannot leave it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _finding(report: bytes, nonce: str, code: int | None) -> Trial:
    """Take the line with the nonce; without it nothing passed."""
    try:
        found = json.loads(report)
        if found["nonce"] == nonce:
            return Trial(loaded=found["loaded"] is True, passed=found["passed"] is True, error=str(found["error"]))
    except (ValueError, LookupError, TypeError):
        pass
    if code == -signal.SIGXCPU:
        return Trial(loaded=True, passed=False, error=LATE)
    return Trial(loaded=False, passed=False, error=f"ended without a finding (exit code {code})")


def _source() -> str:
    """The folder that the package lies in."""
    return str(Path(touchstone_runtime.__file__).parent.parent)


@cache
def _filter() -> bytes:
    """The seccomp filter for this machine: what is not named fails with EPERM, `clone3` with ENOSYS."""
    if not confinement.landlock_version():
        raise ConfinementUnavailable("its kernel has no Landlock (Linux 5.13 or later has)")
    try:
        import pyseccomp as seccomp  # noqa: PLC0415 - raises where libseccomp is not there
    except (ImportError, OSError, RuntimeError) as error:
        raise ConfinementUnavailable(f"libseccomp is not there ({error})") from error
    made = seccomp.SyscallFilter(seccomp.ERRNO(1))
    for name in SYSTEM_CALLS.split():
        with contextlib.suppress(ValueError, OSError):  # not a call of this architecture
            made.add_rule(seccomp.ALLOW, name)
    made.add_rule(seccomp.ALLOW, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, _CLONE_THREAD, _CLONE_THREAD))
    made.add_rule(seccomp.ERRNO(38), "clone3")
    made.add_rule(seccomp.ALLOW, "socketpair", seccomp.Arg(0, seccomp.EQ, _AF_UNIX))
    made.add_rule(seccomp.ALLOW, "ioctl", seccomp.Arg(1, seccomp.EQ, _FIONBIO))
    made.add_rule(seccomp.ALLOW, "prlimit64", seccomp.Arg(2, seccomp.EQ, 0))
    with os.fdopen(os.memfd_create("filter"), "w+b") as file:
        made.export_bpf(file)
        file.seek(0)
        return file.read()

"""Trials of code that models wrote, each in processes of its own."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
from functools import cache
from pathlib import Path

import touchstone_evaluation
from touchstone_evaluation import errors
from touchstone_evaluation.core.task import Outcome, Program, Trial
from touchstone_evaluation.sandbox import confinement

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
    "import sys; sys.path.insert(0, sys.argv[1]); from touchstone_evaluation.sandbox import trial; "
    "trial.main(*sys.argv[1:])"
)


class ProcessTrials:
    """Runs programs against their tests, confined by the kernel."""

    async def run(self, asked: Program) -> Outcome:
        """Try a program.

        Raises:
            ConfinementUnavailable: This machine cannot confine it; nothing was run.
        """
        bpf = _filter()
        nonce = secrets.token_hex(16)
        seconds = asked.timeout_seconds
        order = json.dumps(
            {"program": asked.program, "tests": list(asked.tests), "seconds": seconds, "nonce": nonce}
        ).encode()
        arguments = (_source(), str(asked.memory_bytes), str(seconds + 1), bpf.hex())
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
            async with asyncio.timeout(seconds + START_SECONDS):
                report = await _exchanged(process, order)
        except TimeoutError:
            return Outcome(trial=Trial(loaded=True, passed=False, error=LATE))
        finally:
            await _ended(process)
        return Outcome(trial=_finding(report, nonce, process.returncode))


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
    return str(Path(touchstone_evaluation.__file__).parent.parent)


@cache
def _filter() -> bytes:
    """The seccomp filter for this machine: what is not named fails with EPERM, `clone3` with ENOSYS."""
    if not confinement.landlock_version():
        raise errors.ConfinementUnavailable("its kernel has no Landlock (Linux 5.13 or later has)")
    try:
        import pyseccomp as seccomp  # noqa: PLC0415 - raises where libseccomp is not there
    except (ImportError, OSError, RuntimeError) as error:
        raise errors.ConfinementUnavailable(f"libseccomp is not there ({error})") from error
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

"""Takes away from the process that calls it what code of strangers has no need of. Linux; standard library only.

Three layers, none of which needs a privilege: resource limits; Landlock (kernel 5.13 and later), which leaves Python's
own library and nothing else to read, nothing to write, and no signal to send; and a seccomp filter that knows the
system calls that a computation needs and refuses all others, `socket` and `fork` among them. A network namespace of
its own comes on top where the kernel gives one. What was taken away cannot be had back.
"""

import contextlib
import ctypes
import os
import resource
import sysconfig
from pathlib import Path

_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 444, 445, 446  # the same on all architectures
_LANDLOCK_VERSION = 1
_LANDLOCK_PATH_BENEATH = 1
_LANDLOCK_READ = 1 << 0 | 1 << 2 | 1 << 3  # execute (to map libraries), read_file, read_dir
_LANDLOCK_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # rights of files by version; from 5 on there are 16
_CLONE_NEWUSER, _CLONE_NEWNET, _CLONE_NEWIPC = 0x10000000, 0x40000000, 0x08000000
_OPEN_FILES = 64
_SHARED_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64")


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


class _Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def landlock_version() -> int:
    """The kernel's version of Landlock; 0 where it has none."""
    if not hasattr(os, "uname") or os.uname().sysname != "Linux":
        return 0
    return max(0, int(_libc().syscall(_LANDLOCK_CREATE_RULESET, None, 0, _LANDLOCK_VERSION)))


def confine(*, memory_bytes: int, cpu_seconds: int, bpf: bytes) -> None:
    """Confine this process and what it becomes.

    Args:
        memory_bytes: The most address space.
        cpu_seconds: The most time of a processor; then the kernel kills it.
        bpf: The seccomp filter: instructions of 8 bytes each.

    Raises:
        OSError: The kernel does not have it; nothing may be run then.
    """
    libc = _libc()
    with contextlib.suppress(OSError):
        _checked(libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWIPC), "unshare")
    for limit, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
    ):
        resource.setrlimit(limit, (value, value))
    _checked(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _landlock(libc)
    buffer = ctypes.create_string_buffer(bpf, len(bpf))
    program = _Filter(len(bpf) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    _checked(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0), "seccomp")


def _landlock(libc: ctypes.CDLL) -> None:
    version = landlock_version()
    if not version:
        raise OSError("this kernel has no Landlock")
    files = (1 << _LANDLOCK_RIGHTS.get(version, 16)) - 1
    network = 0b11 if version >= 4 else 0  # bind and connect, TCP
    scoped = 0b11 if version >= 6 else 0  # abstract sockets and signals
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    attributes = _Ruleset(files, network, scoped)
    ruleset = libc.syscall(_LANDLOCK_CREATE_RULESET, ctypes.byref(attributes), size, 0)
    _checked(ruleset, "landlock_create_ruleset")
    for path in {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), *_SHARED_LIBRARIES}:
        if not Path(path).is_dir():
            continue
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = _Beneath(_LANDLOCK_READ, folder)
        added = libc.syscall(_LANDLOCK_ADD_RULE, ruleset, _LANDLOCK_PATH_BENEATH, ctypes.byref(rule), 0)
        _checked(added, "landlock_add_rule")
        os.close(folder)
    _checked(libc.syscall(_LANDLOCK_RESTRICT_SELF, ruleset, 0), "landlock_restrict_self")
    os.close(ruleset)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")

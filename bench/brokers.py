"""Brokers as processes of ours that may be killed, paused and started anew: Valkey, and RabbitMQ where it is installed.

Each listens on a free loopback port. RabbitMQ is Debian's, run beside whatever service of it the machine has: a node
of a name, a port mapper, a cookie and a folder of its own.
"""

import os
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Protocol

import scenery
from touchstone_runtime.testing import free_port

START_SECONDS = 60
RABBITMQ_PROGRAMS = Path("/usr/lib/rabbitmq/lib")


class Broker(Protocol):
    """A broker that is at the mercy of whoever holds it."""

    url: str

    def start(self) -> None:
        """Start it, and wait until it listens."""

    def kill(self) -> None:
        """End it with SIGKILL; what it keeps on disk stays."""

    def pause(self) -> None:
        """Stop it without its noticing."""

    def resume(self) -> None:
        """Let it go on."""

    def until_kept(self, queue: str) -> None:
        """Wait until a queue that was declared outlives its being killed, where it keeps queues at all."""

    def close(self) -> None:
        """End it and all that belongs to it."""


class _Process:
    """A server in a process group of its own."""

    url: str

    def __init__(self, command: list[str], port: int, environ: dict[str, str] | None = None) -> None:
        self._command = command
        self._port = port
        self._environ = environ
        self.start()

    def start(self) -> None:
        quiet = subprocess.DEVNULL
        self._server = subprocess.Popen(
            self._command, env=self._environ, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True
        )
        until_listening(self._port, self._server)

    def kill(self) -> None:
        if self._server.poll() is None:
            os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()
            while _is_listening(self._port):  # what it started may outlive it by an instant
                time.sleep(0.01)

    def pause(self) -> None:
        os.killpg(self._server.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.killpg(self._server.pid, signal.SIGCONT)

    def close(self) -> None:
        self.kill()


class Valkey(_Process):
    """A Valkey that keeps nothing over its end."""

    def __init__(self) -> None:
        port = free_port()
        self.url = f"redis://127.0.0.1:{port}/0"
        self._folder = tempfile.TemporaryDirectory(prefix="touchstone-valkey-")
        super().__init__(scenery.valkey(port, Path(self._folder.name)), port)

    def until_kept(self, queue: str) -> None:
        """Return: it keeps none."""

    def close(self) -> None:
        """End it, and remove its folder."""
        super().close()
        self._folder.cleanup()


class RabbitMq(_Process):
    """A RabbitMQ of one node, which keeps what it confirmed."""

    def __init__(self, *, consumer_timeout_seconds: int = 1800) -> None:
        """Start it.

        Args:
            consumer_timeout_seconds: How long a message may be out, where its queue does not say or is not asked.
        """
        port, mapper = free_port(), free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{port}//"
        self._folder = tempfile.TemporaryDirectory(prefix="touchstone-rabbitmq-", ignore_cleanup_errors=True)
        folder = Path(self._folder.name)
        settings = [f"listeners.tcp.1 = 127.0.0.1:{port}", f"consumer_timeout = {consumer_timeout_seconds * 1000}"]
        (folder / "rabbitmq.conf").write_text("\n".join([*settings, ""]))
        (folder / "advanced.config").write_text("[{rabbit, [{channel_tick_interval, 1000}]}].\n")
        (folder / "enabled_plugins").write_text("[].\n")
        environ = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(folder),
            "ERL_EPMD_PORT": str(mapper),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"touchstone-{port}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none -kernel inet_dist_use_interface {127,0,0,1}",
        }
        mapping = ["epmd", "-port", str(mapper), "-address", "127.0.0.1"]
        quiet = subprocess.DEVNULL
        self._mapper = subprocess.Popen(mapping, env=environ, stdin=quiet, stdout=quiet, stderr=quiet)
        until_listening(mapper, self._mapper)
        super().__init__([str(_rabbitmq())], port, environ)

    @staticmethod
    def is_installed() -> bool:
        """Tell whether Debian's package `rabbitmq-server` is installed."""
        return _rabbitmq() is not None

    def until_kept(self, queue: str) -> None:
        """Wait until the node has written down that a quorum queue exists.

        That is done some seconds after the queue was declared, by RabbitMQ 3.10. A node that is killed before knows
        the queue and makes it anew, without the messages that it had confirmed.

        Raises:
            RuntimeError: It was not written down.
        """
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            registers = Path(self._folder.name).glob("data/*/quorum/*/names.dets")
            if any(queue.encode() in register.read_bytes() for register in registers):
                return
            time.sleep(0.05)
        raise RuntimeError(f"queue {queue!r} was not written down")

    def close(self) -> None:
        """End it with its port mapper, and remove its folder."""
        super().close()
        self._mapper.kill()
        self._mapper.wait()
        self._folder.cleanup()


def until_listening(port: int, server: "subprocess.Popen[bytes]") -> None:
    """Wait until a process listens on a loopback port.

    Raises:
        RuntimeError: It ended, or it took too long.
    """
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        if _is_listening(port):
            return
        time.sleep(0.02)
    raise RuntimeError(f"{server.args!r} does not listen on port {port}")


def _is_listening(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _rabbitmq() -> Path | None:
    """Find the server itself: the program on the PATH is a script that becomes another user."""
    return next(iter(sorted(RABBITMQ_PROGRAMS.glob("rabbitmq_server-*/sbin/rabbitmq-server"))), None)

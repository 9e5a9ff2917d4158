"""Debian packages that a node needs, and the broker that the tests of jobs run beside Valkey."""

import os
import shutil
import subprocess

from telling import Trouble, step

NEEDED = {
    "containerd": "containerd",
    "runc": "runc",
    "nft": "nftables",
    "ip": "iproute2",
    "conntrack": "conntrack",
    "iptables": "iptables",
    "ipset": "ipset",
    "/usr/lib/rabbitmq/bin/rabbitmq-server": "rabbitmq-server",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
}
"""What must be there, and the package that brings it."""


def ensure() -> None:
    """Install what is missing.

    Raises:
        Trouble: Something is missing and cannot be installed.
    """
    missing = sorted({package for program, package in NEEDED.items() if not _is_there(program)})
    if not missing:
        return
    if os.geteuid() or not shutil.which("apt-get"):
        raise Trouble(f"needed as root: {', '.join(missing)}; install them and try again")
    with step(f"Installing {', '.join(missing)}"):
        environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", *missing]):
            ended = subprocess.run(["apt-get", *command], env=environ, capture_output=True, text=True, check=False)
            if ended.returncode:
                raise Trouble(f"apt-get {command[0]} failed:\n{ended.stderr[-2000:]}")


def _is_there(program: str) -> bool:
    return shutil.which(program) is not None or shutil.which(program, path="/usr/sbin:/sbin") is not None

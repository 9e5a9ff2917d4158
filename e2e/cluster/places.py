"""Where the cluster keeps its files and which addresses it takes."""

import os
import socket
from pathlib import Path

VERSION = "1.36.3"
NODE = "touchstone-e2e"
STATE = Path("/var/lib/touchstone-e2e")
RUN = Path("/run/touchstone-e2e")
"""Sockets: their paths must be short."""
CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "touchstone" / "cluster"

PKI = STATE / "pki"
CONFIGURATION = STATE / "configuration"
LOGS = STATE / "logs"
VOLUMES = STATE / "volumes"
KUBECONFIG = STATE / "kubeconfig"
SETTINGS_BEFORE = STATE / "settings-before.json"
CONTAINERD_SOCKET = RUN / "containerd.sock"

API_PORT = 6443
POD_RANGE = "10.244.0.0/16"
NODE_POD_RANGE = "10.244.0.0/24"
SERVICE_RANGE = "10.96.0.0/16"
API_SERVICE = "10.96.0.1"
DNS_SERVICE = "10.96.0.10"
BRIDGE = "touchstone0"
NFT_TABLE = "touchstone_e2e"


def node_address() -> str:
    """Return the address by which this machine reaches others: pods must reach the API server at it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # a datagram socket sends nothing when it connects
        address: str = probe.getsockname()[0]
        return address

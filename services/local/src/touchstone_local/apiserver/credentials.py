"""The bearer token and the kubeconfig that carries it."""

import base64
import json
import secrets
from pathlib import Path

from touchstone_local import files

CONTEXT = "touchstone"


def ensure_token(path: Path) -> str:
    """Return the token in a file, made now if there is none."""
    try:
        token = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        token = ""
    if not token:
        token = secrets.token_urlsafe(32)
        files.write_atomically(path, token, mode=0o600)
    return token


def write_kubeconfig(path: Path, *, server: str, authority: Path, token: str) -> None:
    """Write a kubeconfig that needs no other file, as a whole or not at all; JSON is YAML too."""
    encoded = base64.b64encode(authority.read_bytes()).decode()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": CONTEXT, "cluster": {"server": server, "certificate-authority-data": encoded}}],
        "users": [{"name": CONTEXT, "user": {"token": token}}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": CONTEXT, "namespace": "default"}}],
        "current-context": CONTEXT,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_atomically(path, json.dumps(config, indent=2) + "\n", mode=0o600)

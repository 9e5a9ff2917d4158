"""An S3-compatible server that only one team's key opens, as a process: HOST PORT KEY."""

import sys
from collections.abc import Callable, Iterable
from typing import Any

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

DENIED = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>'


def guarded(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """Pass on what the key has signed."""
    if f"Credential={KEY}/" in environ.get("HTTP_AUTHORIZATION", ""):
        answer: Iterable[bytes] = STORAGE(environ, start)
        return answer
    start("403 Forbidden", [("Content-Type", "application/xml"), ("Content-Length", str(len(DENIED)))])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [DENIED]


if __name__ == "__main__":
    host, port, KEY = sys.argv[1:]
    STORAGE = DomainDispatcherApplication(create_backend_app)
    run_simple(host, int(port), guarded, threaded=True)

"""Options of channels and servers are names that gRPC knows; it ignores any other without a word."""

import re
from pathlib import Path

from grpc._cython import cygrpc

ROOT = Path(__file__).parents[2]
OPTION = re.compile(r'"(grpc\.(?:http2\.)?[a-z_0-9]+)"')


def test_grpc_knows_every_option() -> None:
    library = Path(cygrpc.__file__).read_bytes()
    sources = [*ROOT.glob("services/*/src/**/*.py"), *ROOT.glob("operator/src/**/*.py")]
    used = {name for source in sources for name in OPTION.findall(source.read_text())} - {"grpc.health", "grpc.aio"}
    assert "grpc.keepalive_time_ms" in used
    assert [name for name in sorted(used) if name.encode() not in library] == []

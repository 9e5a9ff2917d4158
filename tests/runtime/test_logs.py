"""Logs: what a process writes of itself, and what it keeps to itself."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from touchstone_runtime.artefacts import Resolver
from touchstone_runtime.artefacts.registries import Surroundings, pushing
from touchstone_runtime.artefacts.registries.testing import Registry
from touchstone_runtime.telemetry import logs


@pytest.fixture
def as_processes_log(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    root, httpx = logging.getLogger(), logging.getLogger("httpx")
    handlers, levels = list(root.handlers), (root.level, httpx.level)
    logs.setup()
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    httpx.setLevel(levels[1])
    logging.captureWarnings(capture=False)


def test_the_signed_address_that_weights_are_redirected_to_is_not_logged(
    as_processes_log: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """httpx writes each address at the level that processes log at."""
    (tmp_path / "registry").mkdir()
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "weights").write_bytes(b"abc")
    registry = Registry(tmp_path / "registry")
    try:
        uri = f"oci://{registry.host}/models/chat"
        pushed = pushing.push(tmp_path / "made", uri, {}, surroundings=Surroundings(docker_config=tmp_path))
        registry.troubles.redirect_blobs_to = f"http://localhost:{registry.port}"
        logging.getLogger("touchstone").info("Fetches.")
        Resolver(tmp_path / "cache").resolve_sync(pushed.uri)
    finally:
        registry.close()
    written = capsys.readouterr().err
    assert "Fetches." in written
    assert registry.requests("GET", "/storage/")
    assert "/storage/" not in written

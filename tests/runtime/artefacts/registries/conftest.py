"""A registry in process, a folder to publish, and a workplace to fetch into."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from touchstone_runtime.artefacts.registries import Surroundings
from touchstone_runtime.artefacts.registries.testing import Registry

Open = Callable[..., Registry]


@pytest.fixture
def registries(tmp_path: Path) -> Iterator[Open]:
    """Opens registries that end with the test."""
    opened: list[Registry] = []

    def open_one(**options: object) -> Registry:
        folder = tmp_path / f"registry-{len(opened)}"
        folder.mkdir()
        opened.append(Registry(folder, **options))  # type: ignore[arg-type]  # as the test says
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


@pytest.fixture
def registry(registries: Open) -> Registry:
    return registries()


@pytest.fixture
def made(tmp_path: Path) -> Path:
    folder = tmp_path / "made"
    (folder / "inner").mkdir(parents=True)
    (folder / "adapter_config.json").write_text('{"r": 4}')
    (folder / "inner" / "weights").write_bytes(bytes(range(256)) * 4096)
    (folder / "inner" / "again").write_bytes(bytes(range(256)) * 4096)
    return folder


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    folder = tmp_path / "workplace"
    folder.mkdir()
    return folder


@pytest.fixture
def nowhere(tmp_path: Path) -> Surroundings:
    """Of a process that knows no login."""
    return Surroundings(docker_config=tmp_path / "no-docker")

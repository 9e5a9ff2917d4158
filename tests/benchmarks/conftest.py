"""Real data sets, from packages of the registry, pinned by digest."""

from pathlib import Path

import pytest
from touchstone_runtime.artefacts import Resolver


@pytest.fixture(scope="session")
def resolver(tmp_path_factory: pytest.TempPathFactory) -> Resolver:
    return Resolver(tmp_path_factory.mktemp("artefacts"))


@pytest.fixture(scope="session")
def examples() -> Path:
    return Path(__file__).parents[2] / "examples" / "benchmarks"

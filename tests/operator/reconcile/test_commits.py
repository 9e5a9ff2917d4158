"""A commit beside an address of the hub: what is served and trained from is that commit, not the newest."""

from typing import Any

import pytest
from touchstone_operator import objects
from touchstone_operator.adapters import finetuning
from touchstone_operator.plan import addresses

NAMESPACE = "default"
DIGEST = f"sha256:{'a' * 64}"


@pytest.mark.parametrize(
    ("uri", "revision", "expected"),
    [
        ("hf://org/chat", "abc123", "hf://org/chat@abc123"),
        ("hf://org/chat/q4.gguf", "abc123", "hf://org/chat@abc123/q4.gguf"),
        (f"hf://org/chat/q4.gguf#sha256={'a' * 64}", "v1.0", f"hf://org/chat@v1.0/q4.gguf#sha256={'a' * 64}"),
        ("hf://org/chat", DIGEST, "hf://org/chat"),
        ("hf://org/chat@abc123/q4.gguf", None, "hf://org/chat@abc123/q4.gguf"),
        ("s3://bucket/chat", DIGEST, "s3://bucket/chat"),
    ],
)
def test_a_commit_becomes_part_of_the_address(uri: str, revision: str | None, expected: str) -> None:
    assert addresses.at(uri, revision) == expected


@pytest.mark.parametrize(
    ("revision", "expected"),
    [(DIGEST, DIGEST), ("abc123", None), ("sha256-of-today", None), (DIGEST[:-1], None), (None, None)],
)
def test_a_revision_is_a_digest_or_a_commit(revision: str | None, expected: str | None) -> None:
    assert addresses.digest(revision) == expected


def serve(world: Any, commit: str) -> None:
    spec = {
        "model": {"uri": "hf://org/chat", "revision": commit},
        "adapters": [
            {"name": "tone", "source": {"type": "URI", "uri": "hf://org/tone", "revision": commit}, "rank": 8}
        ],
        "engine": {"type": "LlamaCpp"},
        "rollout": {"strategy": "BlueGreen", "drainSeconds": 3},
    }
    world.cluster.put_spec(objects.MODEL_DEPLOYMENT, "chat", spec)


async def test_a_deployment_serves_the_commit_it_names(world: Any) -> None:
    """The commit was dropped without a word: the newest of the repository was served."""
    serve(world, "abc123")
    await world.settle()
    assert world.bundle()["model"]["uri"] == "hf://org/chat@abc123"
    assert world.bundle()["adapters"][0]["uri"] == "hf://org/tone@abc123"
    assert sorted(set(world.models.asked)) == ["hf://org/chat@abc123", "hf://org/tone@abc123"]


async def test_another_commit_makes_another_revision_and_the_same_one_is_not_looked_up_again(world: Any) -> None:
    serve(world, "abc123")
    await world.settle()
    first, asked = world.status()["stableRevision"], len(world.models.asked)
    await world.settle()
    assert len(world.models.asked) == asked
    serve(world, "def456")
    await world.settle()
    assert world.status()["stableRevision"] != first
    assert world.bundle()["model"]["uri"] == "hf://org/chat@def456"


async def test_a_job_trains_from_the_commit_it_names(world: Any) -> None:
    spec = {
        "baseModel": {"uri": "hf://org/base", "revision": "abc123"},
        "method": {"type": "LoRA", "lora": {"rank": 8, "alpha": 16}},
        "dataset": {"uri": "file:///data.jsonl", "format": "ChatML"},
        "output": {"uri": "file:///out"},
    }
    world.cluster.put_spec(objects.FINETUNE_JOB, "tune", spec)
    await world.settle()
    (request,) = world.finetuning.trainings.values()
    base = finetuning.training_spec(request).base
    assert (base.uri, base.digest) == ("hf://org/base@abc123", "")

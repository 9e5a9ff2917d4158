"""Prefill and decode in two processes: KV blocks go through a folder that both see."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from safetensors import safe_open

pytestmark = [pytest.mark.timeout(600), pytest.mark.asyncio(loop_scope="module")]

BLOCK_TOKENS = 128
"""vLLM's on a CPU."""
TOKEN_BYTES = 2 * 30 * 3 * 64 * 4
"""SmolLM2-135M in float32: key and value, layers, KV heads, dimension, bytes."""
TEXTS = [f"Item {n}: iron, lead, zinc and nickel lie on the scales. " * 26 for n in range(2)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kv")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(roles: Any, folder: Path) -> AsyncIterator[Any]:
    shared = {"TOUCHSTONE_KV_CONNECTOR": "ExampleConnector", "TOUCHSTONE_KV_SHARED_FOLDER": str(folder)}
    async with roles({}, {}, **shared) as found:
        yield found


async def test_blocks_go_through_the_folder_and_the_answer_is_the_same_as_without(
    pair: Any, folder: Path, ask: Any
) -> None:
    found = [await ask.greedy(pair.decode, text) for text in TEXTS]
    stored = sum(_size_bytes(file) for file in folder.rglob("*.safetensors"))
    counted = await ask.transferred(pair.decode)
    wanted = [await ask.greedy(pair.prefill, text) for text in TEXTS]
    assert [text for text, _ in found] == [text for text, _ in wanted]
    whole_blocks = sum((tokens - 1) // BLOCK_TOKENS * BLOCK_TOKENS for _, tokens in found)
    assert counted.connector == "ExampleConnector"
    assert counted.remote_prompts == len(TEXTS)
    assert counted.transferred_tokens == whole_blocks
    assert stored == whole_blocks * TOKEN_BYTES


async def test_a_prompt_of_one_token_is_refused_and_kills_nobody(pair: Any, ask: Any) -> None:
    """The connector takes the block before the first one for cached: the engine used to die of it."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask.greedy(pair.decode, "Hello")
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (await ask.greedy(pair.decode, "Hello, my name is"))[0]


def _size_bytes(file: Path) -> int:
    with safe_open(file, framework="pt") as tensors:
        return sum(tensors.get_tensor(name).nbytes for name in tensors.keys())  # noqa: SIM118 - not a mapping

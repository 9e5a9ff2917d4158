"""Prefill and decode in two processes: KV blocks go from one to the other by NIXL, and are counted."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import psutil
import pytest
import pytest_asyncio
from touchstone.engine.v1 import engine_service_pb2 as pb
from touchstone_runtime.channels import translate
from touchstone_runtime.testing import free_port

pytestmark = [pytest.mark.timeout(600), pytest.mark.asyncio(loop_scope="module")]

BLOCK_TOKENS = 128
"""vLLM's on a CPU."""
LAYERS, KV_HEADS, HEAD, BYTES = 30, 3, 64, 4
"""SmolLM2-135M in float32."""
BLOCK_BYTES = 2 * LAYERS * KV_HEADS * HEAD * BYTES * BLOCK_TOKENS
TEXTS = [f"Item {n}: gold, silver, copper and tin lie on the scales. " * 24 for n in range(3)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(roles: Any) -> AsyncIterator[Any]:
    side_channels = [{"VLLM_NIXL_SIDE_CHANNEL_PORT": str(free_port())} for _ in range(2)]
    async with roles(*side_channels, UCX_TLS="tcp,self") as found:
        yield found


async def test_blocks_move_and_the_answer_is_the_same_as_without(pair: Any, ask: Any) -> None:
    found = [await ask.greedy(pair.decode, text) for text in TEXTS]
    counted = await ask.transferred(pair.decode)
    wanted = [await ask.greedy(pair.prefill, text) for text in TEXTS]
    assert [text for text, _ in found] == [text for text, _ in wanted]
    blocks = sum(-(-tokens // BLOCK_TOKENS) for _, tokens in found)
    assert counted.connector == "NixlConnector"
    assert counted.remote_prompts == counted.transfers == len(TEXTS)
    assert counted.transferred_bytes == blocks * BLOCK_BYTES
    assert counted.transferred_tokens == sum(tokens for _, tokens in found)
    assert counted.failed_transfers == counted.failed_prompts == 0


async def test_a_short_prompt_and_a_cached_one_stay_where_they_are(pair: Any, ask: Any) -> None:
    before = (await ask.transferred(pair.decode)).remote_prompts
    await ask.greedy(pair.decode, "Gold is a metal, and")
    await ask.greedy(pair.decode, TEXTS[0])
    assert (await ask.transferred(pair.decode)).remote_prompts == before


async def test_without_prefill_engines_prompts_are_computed_here_and_counted(pair: Any, ask: Any) -> None:
    for child in psutil.Process(pair.prefill.process.pid).children(recursive=True):
        child.kill()
    pair.prefill.process.kill()
    text = "Lead and mercury are no gold, whatever the label says. " * 30
    begun = time.monotonic()
    answer, _ = await ask.greedy(pair.decode, text)
    assert answer
    assert time.monotonic() - begun < 20
    counted = await ask.transferred(pair.decode)
    assert counted.failed_prompts == 1
    assert counted.remote_prompts == counted.transfers


async def _read_to_the_end(call: Any) -> None:
    while await call.read() is not grpc.aio.EOF:
        pass


async def test_an_engine_whose_core_dies_is_told_soon_and_ends(pair: Any) -> None:
    process = psutil.Process(pair.decode.process.pid)
    request = pb.GenerateRequest(prompt="One, two,", sampling=pb.Sampling(max_output_tokens=1500))
    call = pair.decode.stub.Generate(request, timeout=120)
    await call.read()
    for child in process.children(recursive=True):
        if "EngineCore" in " ".join((child.name(), *child.cmdline())):
            child.kill()
    begun = time.monotonic()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _read_to_the_end(call)
    assert time.monotonic() - begun < 3
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert translate(caught.value, "engine").reason == "ENGINE_BROKE"
    assert await asyncio.to_thread(pair.decode.process.wait, 20) == 1

"""Prefill and decode in two processes: KV blocks go from one to the other by NIXL, and are counted."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
import psutil
import pytest
import pytest_asyncio
from touchstone.engine.v1 import engine_service_pb2 as pb
from touchstone_runtime.channels import translate

pytestmark = [pytest.mark.timeout(600), pytest.mark.asyncio(loop_scope="module")]

BLOCK_TOKENS = 128
"""vLLM's on a CPU."""
LAYERS, KV_HEADS, HEAD, BYTES = 30, 3, 64, 4
"""SmolLM2-135M in float32."""
BLOCK_BYTES = 2 * LAYERS * KV_HEADS * HEAD * BYTES * BLOCK_TOKENS
TEXTS = [f"Item {n}: gold, silver, copper and tin lie on the scales. " * 24 for n in range(3)]


@dataclass(frozen=True, slots=True)
class Pair:
    prefill: Any
    decode: Any


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(weights: Any, serving: Any, free_port: Any) -> AsyncIterator[Pair]:
    manifest = weights.manifest()
    port, side_channels = free_port(), (free_port(), free_port())
    common = {"UCX_TLS": "tcp,self", "TOUCHSTONE_HOST": "127.0.0.1"}
    async with contextlib.AsyncExitStack() as stack:
        prefill, decode = await asyncio.gather(
            stack.enter_async_context(
                serving(
                    manifest, port=port, TOUCHSTONE_ROLE="prefill", VLLM_CPU_OMP_THREADS_BIND="0",
                    VLLM_NIXL_SIDE_CHANNEL_PORT=str(side_channels[0]), **common,
                )
            ),
            stack.enter_async_context(
                serving(
                    manifest, TOUCHSTONE_ROLE="decode", VLLM_CPU_OMP_THREADS_BIND="1",
                    TOUCHSTONE_PREFILL_ADDRESS=f"127.0.0.1:{port}",
                    VLLM_NIXL_SIDE_CHANNEL_PORT=str(side_channels[1]), **common,
                )
            ),
        )  # fmt: skip
        yield Pair(prefill, decode)


async def greedy(engine: Any, prompt: str, tokens: int = 16) -> tuple[str, int]:
    request = pb.GenerateRequest(prompt=prompt, sampling=pb.Sampling(max_output_tokens=tokens))
    parts = [part async for part in engine.stub.Generate(request, timeout=120)]
    return "".join(part.text for part in parts), parts[-1].usage.input_tokens


async def transferred(engine: Any) -> pb.KVTransfer:
    stats: pb.StatsResponse = await engine.stub.Stats(pb.StatsRequest(), timeout=30)
    return stats.kv_transfer


async def test_blocks_move_and_the_answer_is_the_same_as_without(pair: Pair) -> None:
    found = [await greedy(pair.decode, text) for text in TEXTS]
    counted = await transferred(pair.decode)
    wanted = [await greedy(pair.prefill, text) for text in TEXTS]
    assert [text for text, _ in found] == [text for text, _ in wanted]
    blocks = sum(-(-tokens // BLOCK_TOKENS) for _, tokens in found)
    assert counted.connector == "NixlConnector"
    assert counted.remote_prompts == counted.transfers == len(TEXTS)
    assert counted.transferred_bytes == blocks * BLOCK_BYTES
    assert counted.transferred_tokens == sum(tokens for _, tokens in found)
    assert counted.failed_transfers == counted.failed_prompts == 0


async def test_a_short_prompt_and_a_cached_one_stay_where_they_are(pair: Pair) -> None:
    before = (await transferred(pair.decode)).remote_prompts
    await greedy(pair.decode, "Gold is a metal, and")
    await greedy(pair.decode, TEXTS[0])
    assert (await transferred(pair.decode)).remote_prompts == before


async def test_without_prefill_engines_prompts_are_computed_here_and_counted(pair: Pair) -> None:
    for child in psutil.Process(pair.prefill.process.pid).children(recursive=True):
        child.kill()
    pair.prefill.process.kill()
    text = "Lead and mercury are no gold, whatever the label says. " * 30
    begun = time.monotonic()
    answer, _ = await greedy(pair.decode, text)
    assert answer
    assert time.monotonic() - begun < 20
    counted = await transferred(pair.decode)
    assert counted.failed_prompts == 1
    assert counted.remote_prompts == counted.transfers


async def _read_to_the_end(call: Any) -> None:
    while await call.read() is not grpc.aio.EOF:
        pass


async def test_an_engine_whose_core_dies_is_told_soon_and_ends(pair: Pair) -> None:
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

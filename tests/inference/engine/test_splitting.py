"""Prefill and decode apart, over real gRPC between two engine services whose models only remember what they were asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from touchstone.engine.v1 import engine_service_pb2 as pb
from touchstone.engine.v1 import engine_service_pb2_grpc as pb_grpc
from touchstone_inference.engine.adapters.prefillers import GrpcPrefillers
from touchstone_inference.engine.api.servicer import EngineServicer
from touchstone_inference.engine.core.generation import (
    Description,
    End,
    Finish,
    Generation,
    Piece,
    Prefilled,
    Score,
    Scoring,
    Timings,
    Transfers,
    Turn,
    Usage,
)
from touchstone_inference.engine.core.splitting import OnFailure, Policy, PrefixMemory
from touchstone_inference.engine.service.measuring import Measuring
from touchstone_inference.engine.service.serving import EngineService
from touchstone_inference.engine.service.splitting import Splitting
from touchstone_runtime import errors, testing
from touchstone_runtime.channels import translate
from touchstone_runtime.revisions import Bundle, Engine, Manifest, Model, digest_bytes

MANIFEST = Manifest(
    namespace="default",
    deployment="chat",
    bundle=Bundle(
        model=Model(uri="file:///none", digest=digest_bytes(b""), name="chat"),
        engine=Engine(type="VLLM", max_model_len=4096),
    ),
)
LONG = "gold " * 600


@dataclass
class Remembering:
    """A model that can be split; a token is a word."""

    prefilled: list[str] = field(default_factory=list)
    continued: list[Generation] = field(default_factory=list)
    is_broken: bool = False
    is_slow: bool = False
    description: Description = field(
        default_factory=lambda: Description(
            engine_type="VLLM", model_digest="", context_tokens=4096, slots=4, capabilities=frozenset()
        )
    )

    async def start(self) -> None: ...

    async def generate(self, request: Generation) -> AsyncIterator[Piece]:
        self.continued.append(request)
        yield Piece("fine", (), End(Finish.STOP, Usage(1, 1), Timings()))

    def render(self, turns: Sequence[Turn]) -> str:
        return turns[-1].content

    async def count_tokens(self, prompt: str) -> int:
        return len(prompt.split())

    async def embed(self, inputs: Sequence[str]) -> tuple[list[list[float]], int]:
        raise NotImplementedError

    async def score(self, request: Scoring) -> list[Score]:
        raise NotImplementedError

    async def wait_until_broken(self) -> None: ...

    async def close(self) -> None: ...

    async def prefill(self, request: Generation) -> Prefilled:
        if self.is_slow:
            await asyncio.Event().wait()
        if self.is_broken:
            raise errors.Unavailable("The engine has died.")
        self.prefilled.append(request.prompt)
        return Prefilled({"remote_block_ids": [[1, 2, 3]]}, 0, 0.1)

    async def transfers(self) -> Transfers:
        return Transfers(connector="Remembering", completed=len([r for r in self.continued if r.handoff]))


@dataclass
class Pair:
    prefill: Remembering
    decode: Remembering
    stub: pb_grpc.EngineServiceAsyncStub


@asynccontextmanager
async def pair(**policy: object) -> AsyncIterator[Pair]:
    prefill, decode = Remembering(), Remembering()
    async with AsyncExitStack() as stack:
        servicer = EngineServicer(
            EngineService(prefill, max_queued_requests=4), Measuring(prefill, chip="", attributes={}), MANIFEST
        )
        channel = await stack.enter_async_context(testing.channel_to([servicer.registered()]))
        limits = {"timeout_seconds": 0.5, **policy}
        splitting = Splitting(GrpcPrefillers(channel), Policy(**limits), PrefixMemory(100_000))  # type: ignore[arg-type]
        service = EngineService(decode, max_queued_requests=4, splitting=splitting)
        own = await stack.enter_async_context(
            testing.channel_to(
                [EngineServicer(service, Measuring(decode, chip="", attributes={}), MANIFEST).registered()]
            )
        )
        yield Pair(prefill, decode, pb_grpc.EngineServiceStub(own))  # type: ignore[arg-type]


async def ask(stub: pb_grpc.EngineServiceAsyncStub, prompt: str) -> str:
    return "".join([part.text async for part in stub.Generate(pb.GenerateRequest(prompt=prompt))])


async def test_a_long_prompt_is_computed_by_a_prefill_engine_and_its_handoff_arrives() -> None:
    async with pair() as engines:
        assert await ask(engines.stub, LONG) == "fine"
        stats = (await engines.stub.Stats(pb.StatsRequest())).kv_transfer
    assert engines.prefill.prefilled == [LONG]
    assert engines.decode.continued[0].handoff == {"remote_block_ids": [[1, 2, 3]]}
    assert (stats.connector, stats.remote_prompts, stats.transfers) == ("Remembering", 1, 1)


async def test_a_short_prompt_and_a_cached_one_are_computed_here() -> None:
    async with pair() as engines:
        await ask(engines.stub, "gold " * 10)
        await ask(engines.stub, LONG)
        await ask(engines.stub, LONG + "and silver")
    assert engines.prefill.prefilled == [LONG]
    assert [bool(request.handoff) for request in engines.decode.continued] == [False, True, False]


@pytest.mark.parametrize("fault", ["is_broken", "is_slow"])
async def test_a_prompt_that_cannot_be_computed_elsewhere_is_computed_here_and_counted(fault: str) -> None:
    async with pair() as engines:
        setattr(engines.prefill, fault, True)
        assert await ask(engines.stub, LONG) == "fine"
        stats = (await engines.stub.Stats(pb.StatsRequest())).kv_transfer
    assert engines.decode.continued[0].handoff is None
    assert (stats.remote_prompts, stats.failed_prompts) == (0, 1)


async def test_under_the_policy_to_fail_it_fails_with_a_reason() -> None:
    async with pair(on_failure=OnFailure.FAIL) as engines:
        engines.prefill.is_broken = True
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ask(engines.stub, LONG)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert translate(caught.value, "engine").reason == "PREFILL_FAILED"
    assert engines.decode.continued == []


def test_memory_counts_whole_blocks_from_the_beginning_and_forgets_the_oldest() -> None:
    memory = PrefixMemory(PrefixMemory.BLOCK_CHARACTERS * 4)
    first, second = "a" * 2048, "b" * 2048
    memory.add(first)
    assert memory.share(first) == 1.0
    assert memory.share(first[:1024] + "c" * 1024) == 0.5
    assert memory.share("c" + first) == 0.0
    memory.add(second)
    assert memory.share(first) == 0.0
    assert memory.share(second) == 1.0


@given(st.text(max_size=3000), st.text(max_size=3000))
def test_memory_never_claims_more_than_the_common_beginning(seen: str, asked: str) -> None:
    memory = PrefixMemory(1_000_000)
    memory.add(seen)
    common = next((n for n, (a, b) in enumerate(zip(seen, asked, strict=False)) if a != b), min(len(seen), len(asked)))
    assert memory.share(asked) * len(asked) <= common

"""The engine service over the scripted engine, through real gRPC."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from touchstone.engine.v1 import engine_service_pb2 as pb
from touchstone.engine.v1 import engine_service_pb2_grpc as pb_grpc
from touchstone_inference.engine.adapters.scripted import Scripted
from touchstone_inference.engine.api.servicer import EngineServicer
from touchstone_inference.engine.core import arguments
from touchstone_inference.engine.service.adapters import Adapters
from touchstone_inference.engine.service.measuring import Measuring
from touchstone_inference.engine.service.serving import EngineService
from touchstone_runtime import channels, errors, testing
from touchstone_runtime.artefacts import Resolver
from touchstone_runtime.revisions import Bundle, Engine, Manifest, Model, digest_bytes

MANIFEST = Manifest(
    namespace="default",
    deployment="chat",
    bundle=Bundle(
        model=Model(uri="file:///none", digest=digest_bytes(b""), name="chat"),
        engine=Engine(type="Scripted", max_model_len=128),
    ),
)


@asynccontextmanager
async def engine(*, max_queued: int = 4, **args: str) -> AsyncIterator[pb_grpc.EngineServiceAsyncStub]:
    given = {name.replace("_", "-"): value for name, value in args.items()}
    numbers = arguments.read(given, arguments.SCRIPTED, others=("rules",))
    model = Scripted(max_model_len=128, arguments=numbers, rules=arguments.rules(given.get("rules", "")))
    service = EngineService(model, max_queued_requests=max_queued)
    adapters = Adapters(model, Resolver(Path()))
    async with testing.channel_to(
        [EngineServicer(service, Measuring(model, chip="", attributes={}), MANIFEST, adapters).registered()]
    ) as channel:
        yield pb_grpc.EngineServiceStub(channel)  # type: ignore[misc]


def ask(text: str, **fields: object) -> pb.GenerateRequest:
    message = pb.Message(role=pb.ROLE_USER, content=text)
    return pb.GenerateRequest(conversation=pb.Conversation(messages=[message]), **fields)  # type: ignore[arg-type]


async def answer(stub: pb_grpc.EngineServiceAsyncStub, request: pb.GenerateRequest) -> list[pb.GenerateResponse]:
    return [message async for message in stub.Generate(request)]


async def test_it_echoes_the_users_words_and_counts_them() -> None:
    async with engine() as stub:
        messages = await answer(stub, ask("one two three"))
    assert "".join(message.text for message in messages) == "one two three"
    last = messages[-1]
    assert last.finish_reason == pb.FINISH_REASON_STOP
    assert last.usage.output_tokens == 3
    assert all(not message.HasField("usage") for message in messages[:-1])


async def test_a_rule_answers_prompts_that_match_it() -> None:
    rules = json.dumps([{"pattern": "capital of France", "answer": "Paris"}])
    async with engine(rules=rules) as stub:
        found = await answer(stub, ask("What is the capital of France?"))
    assert "".join(message.text for message in found) == "Paris"


async def test_the_token_limit_ends_an_answer_with_length() -> None:
    async with engine() as stub:
        messages = await answer(stub, ask("a b c d", sampling=pb.Sampling(max_output_tokens=2)))
    assert messages[-1].finish_reason == pb.FINISH_REASON_LENGTH
    assert messages[-1].usage.output_tokens == 2


async def test_a_prompt_seen_before_is_cached() -> None:
    async with engine() as stub:
        first = (await answer(stub, ask("the same words again")))[-1]
        second = (await answer(stub, ask("the same words again")))[-1]
    assert first.usage.cached_input_tokens == 0
    assert second.usage.cached_input_tokens == second.usage.input_tokens - 1


async def test_logprobs_come_only_when_asked_for() -> None:
    async with engine() as stub:
        without = await answer(stub, ask("a b"))
        with_one = await answer(stub, ask("a b", logprobs=1))
    assert not any(message.logprobs for message in without)
    assert [len(message.logprobs[0].top) for message in with_one[:-1]] == [1, 1]


async def test_a_cancelled_request_gives_its_slot_to_the_next() -> None:
    async with engine(slots="1", time_to_first_token_millis="60000") as stub:
        call = stub.Generate(ask("slow"))
        reading = asyncio.ensure_future(call.read())
        while (await stub.Stats(pb.StatsRequest())).active_requests == 0:
            await asyncio.sleep(0.01)
        call.cancel()
        async with asyncio.timeout(1):
            while (await stub.Stats(pb.StatsRequest())).active_requests:
                await asyncio.sleep(0.01)
        assert (await stub.Stats(pb.StatsRequest())).cancelled_requests == 1
        reading.cancel()


async def test_a_full_queue_refuses_at_once() -> None:
    async with engine(max_queued=0, slots="1", time_to_first_token_millis="60000") as stub:
        call = stub.Generate(ask("slow"))
        reading = asyncio.ensure_future(call.read())
        while (await stub.Stats(pb.StatsRequest())).active_requests == 0:
            await asyncio.sleep(0.01)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await answer(stub, ask("next"))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        call.cancel()
        reading.cancel()


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.GenerateRequest(), "input"),
        (pb.GenerateRequest(conversation=pb.Conversation()), "conversation.messages"),
        (
            pb.GenerateRequest(conversation=pb.Conversation(messages=[pb.Message(content="x")])),
            "conversation.messages[0].role",
        ),
        (ask("x", sampling=pb.Sampling(temperature=3)), "sampling.temperature"),
        (ask("x", sampling=pb.Sampling(top_p=0)), "sampling.top_p"),
        (ask("x", sampling=pb.Sampling(max_output_tokens=0)), "sampling.max_output_tokens"),
        (ask("x", sampling=pb.Sampling(stop=["a"] * 9)), "sampling.stop"),
        (ask("x", logprobs=21), "logprobs"),
        (ask("x", json_schema="[]"), "json_schema"),
        (ask("word " * 200), "prompt"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_request_out_of_bounds_names_its_field(request_: pb.GenerateRequest, field: str) -> None:
    async with engine() as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await answer(stub, request_)
    error = channels.translate(caught.value, "engine")
    assert isinstance(error, errors.Invalid)
    assert [violation.field for violation in error.violations] == [field]


async def test_what_it_cannot_do_is_unimplemented_and_what_it_can_is_described() -> None:
    async with engine() as stub:
        described = await stub.Describe(pb.DescribeRequest())
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await answer(stub, ask("x", json_schema="{}"))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert pb.CAPABILITY_JSON_SCHEMA not in described.capabilities
    assert (described.revision, described.revision_digest) == (MANIFEST.name, MANIFEST.digest)


async def test_texts_that_share_words_are_near() -> None:
    async with engine() as stub:
        response = await stub.Embed(
            pb.EmbedRequest(inputs=["red apple pie", "red apple tart", "quantum chromodynamics"])
        )
    pie, tart, other = (embedding.values for embedding in response.embeddings)

    def product(left: object, right: object) -> float:
        return sum(a * b for a, b in zip(left, right, strict=True))  # type: ignore[call-overload]

    assert product(pie, pie) == pytest.approx(1.0, abs=1e-5)
    assert product(pie, tart) > product(pie, other) + 0.2


async def test_a_continuation_of_said_words_scores_higher() -> None:
    async with engine() as stub:
        response = await stub.Score(
            pb.ScoreRequest(prompt="the sky is blue", continuations=["blue sky", "green cheese"])
        )
    assert response.scores[0].logprob > response.scores[1].logprob
    assert [score.is_greedy for score in response.scores] == [True, False]


@pytest.mark.parametrize(
    ("args", "field"),
    [({"treads": "2"}, "treads"), ({"slots": "none"}, "slots"), ({"slots": "0"}, "slots")],
)
def test_a_wrong_argument_is_named_with_what_is_allowed(args: dict[str, str], field: str) -> None:
    with pytest.raises(errors.Invalid, match=rf"spec.engine.args\[{field}\]"):
        arguments.read(args, arguments.SCRIPTED)


async def test_a_rule_may_be_for_the_requests_of_an_adapter(tmp_path: Path) -> None:
    rules = [{"pattern": "hello", "answer": "Good day", "adapter": "formal"}, {"pattern": "hello", "answer": "hi"}]
    (tmp_path / "formal").write_bytes(b"")
    async with engine(rules=json.dumps(rules)) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await answer(stub, ask("hello", adapter="formal"))
        assert channels.translate(caught.value, "engine").reason == "ADAPTER_NOT_LOADED"
        await stub.LoadAdapter(pb.LoadAdapterRequest(name="formal", uri=f"file://{tmp_path}/formal"))
        assert list((await stub.Describe(pb.DescribeRequest())).adapters) == ["formal"]
        adapted, plain = [await answer(stub, ask("hello", adapter=name)) for name in ("formal", "")]
        again = await answer(stub, ask("hello", adapter="formal"))
        await stub.UnloadAdapter(pb.UnloadAdapterRequest(name="formal"))
        assert not (await stub.Describe(pb.DescribeRequest())).adapters
    assert "".join(message.text for message in adapted) == "Good day"
    assert "".join(message.text for message in plain) == "hi"
    assert plain[-1].usage.cached_input_tokens == 0, "what an adapter has computed is of no use to the model without it"
    assert again[-1].usage.cached_input_tokens > 0

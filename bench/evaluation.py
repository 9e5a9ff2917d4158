"""`python bench/evaluation.py MODEL [ITEMS]`: an EvalRun beside lm-evaluation-harness, on the same engine and items.

MODEL is a folder of safetensors. Both sides have vLLM with the same settings, after each other: the harness within its
own process, all requests handed over at once, which is the fastest that it offers; ours as it runs on the platform:
server, worker, broker, router and engine, each a process, every score recorded before the next is asked for. Seconds
are from the start of the evaluation, the model loaded, to its result. Needs `make setup` and `make test-vllm` before.
"""

import asyncio
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import scenery
import yaml
from touchstone.evaluation.v1 import evaluation_service_pb2 as pb
from touchstone.evaluation.v1 import evaluation_service_pb2_grpc as pb_grpc
from touchstone_evaluation.adapters import plugins
from touchstone_evaluation.core import datasets
from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.spec import Dataset, Layout
from touchstone_evaluation.core.task import Prompt, Scoring
from touchstone_runtime.artefacts import Resolver
from touchstone_runtime.revisions import Manifest
from touchstone_runtime.testing import free_port

ROOT = Path(__file__).parents[1]
EXAMPLES = ("multiple-choice", "mathematics")
CONTEXT, SLOTS = 1024, 16
ARGUMENTS = {
    "max-num-seqs": str(SLOTS),
    "kv-cache-memory-mib": "1024",
    "enforce-eager": "true",
    "dtype": "float32",
    "prefix-caching": "true",
}
MAX_OUTPUT_TOKENS = 96
GSM8K_TEMPLATE = "Question: {question}\nWork it out step by step, then write #### and the number."
METRICS = {"accuracy": "acc", "accuracy_normalised": "acc_norm", "strict_match": "strict", "flexible_match": "flexible"}


class Side(NamedTuple):
    """What one side found."""

    values: Mapping[str, float]
    """By SUITE/METRIC."""
    seconds: float


def main(model: Path, items: int) -> None:
    """Run both sides, and print a row for each metric."""
    suites = _suites(items)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peer = _peer(model, suites, folder)
        ours = asyncio.run(_ours(model, suites, folder))
    print(f"{'':34} {'Touchstone':>11} {'harness':>9} {'standard error':>15}")
    for metric, value in ours.values.items():
        other = peer.values[metric]
        error = math.sqrt(other * (1 - other) / min(items, len(suites[metric.partition("/")[0]].items)))
        print(
            f"{metric:34} {value:11.4f} {other:9.4f} {error:15.4f}{'' if abs(value - other) <= error else '  differs'}"
        )
    print(f"{'seconds':34} {ours.seconds:11.1f} {peer.seconds:9.1f}")
    requests = sum(len(item.choices) or 1 for suite in suites.values() for item in suite.items)
    rates = requests / ours.seconds, requests / peer.seconds
    print(f"{'requests a second':34} {rates[0]:11.1f} {rates[1]:9.1f} {rates[0] / rates[1]:14.2f}x")


class Asked(NamedTuple):
    """A suite of an example, its items drawn."""

    task: str
    parameters: Mapping[str, Any]
    items: tuple[Item, ...]


def _suites(items: int) -> dict[str, Asked]:
    """Draw the same items for both sides."""
    resolver = Resolver(Path(os.environ.get("TOUCHSTONE_TEST_CACHE_DIR", "~/.cache/touchstone/artefacts")).expanduser())
    tasks, found = plugins.installed(), {}
    for example in EXAMPLES:
        document = yaml.safe_load((ROOT / "examples" / "benchmarks" / f"{example}.yaml").read_text())
        for suite in document["spec"]["suites"]:
            source = suite["dataset"]
            dataset = Dataset(
                uri=source["uri"],
                layout=Layout(source.get("format", "JSONLines")),
                records=source["records"],
                limit=items,
            )
            content = resolver.resolve_sync(dataset.uri).path.read_bytes()
            drawn = datasets.draw(content, dataset, tasks[suite["task"]].unfit)
            parameters = dict(suite.get("parameters", {}))
            if example == "mathematics":
                parameters["templates"] = [GSM8K_TEMPLATE]
            found[suite["name"]] = Asked(suite["task"], parameters, tuple(drawn.items))
    return found


def _peer(model: Path, suites: Mapping[str, Asked], folder: Path) -> Side:
    """Write the items as tasks of the harness, their prompts rendered as ours are, and have it run them."""
    tasks = plugins.installed()
    for name, suite in suites.items():
        rows = []
        for item in suite.items:
            if suite.task == "multiple-choice":
                ask = tasks[suite.task].ask(item, suite.parameters)  # type: ignore[union-attr]
                assert isinstance(ask, Scoring)
                choices = [text.removeprefix(" ") for text in ask.continuations]
                gold = next(place for place, choice in enumerate(item.choices) if choice in item.answers)
                rows.append({"prompt": ask.prompt, "choices": choices, "gold": gold})
            else:
                prompt = Prompt(question=GSM8K_TEMPLATE.replace("{question}", item.question)).question
                rows.append({"prompt": prompt, "gold": item.answers[0]})
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = {
        "model": str(model), "context": CONTEXT, "slots": SLOTS, "max_output_tokens": MAX_OUTPUT_TOKENS,
        "kv_cache_mib": int(ARGUMENTS["kv-cache-memory-mib"]),
        "choices": [name for name, suite in suites.items() if suite.task == "multiple-choice"],
        "numbers": [name for name, suite in suites.items() if suite.task != "multiple-choice"],
    }  # fmt: skip
    command = [os.environ.get("UV", "uv"), "run", "--quiet", "--no-sync", "--project", "services/inference/vllm"]
    command += ["--with", "lm-eval==0.4.13", "python", "bench/evaluation_peer.py", str(folder), json.dumps(arguments)]
    environ = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(ROOT / ".venv-vllm"), "HF_HUB_OFFLINE": "1"}
    environ.pop("VIRTUAL_ENV", None)
    subprocess.run(command, check=True, cwd=ROOT, env=environ)
    return Side(**json.loads((folder / "peer.json").read_text()))


async def _ours(model: Path, suites: Mapping[str, Asked], folder: Path) -> Side:
    manifest = scenery.vllm(model, deployment="chat", max_model_len=CONTEXT, args=ARGUMENTS)
    spec = _spec(manifest, suites, folder)
    engine, door, http, address, broker = (free_port() for _ in range(5))
    (folder / "view.json").write_text(json.dumps(scenery.view(manifest, [engine])))
    router = {
        "TOUCHSTONE_LISTEN": f"127.0.0.1:{door}",
        "TOUCHSTONE_HTTP_LISTEN": f"127.0.0.1:{http}",
        "TOUCHSTONE_STATIC_VIEW": str(folder / "view.json"),
        "TOUCHSTONE_AUTH": "None",
    }
    evaluation = {
        "TOUCHSTONE_LISTEN": f"127.0.0.1:{address}",
        "TOUCHSTONE_DATABASE_URL": f"sqlite:///{folder}/evaluation.sqlite",
        "TOUCHSTONE_BROKER_URL": f"redis://127.0.0.1:{broker}/0",
        "TOUCHSTONE_ARTEFACTS_URI": f"file://{folder}/artefacts",
        "TOUCHSTONE_INFERENCE_ADDRESS": f"127.0.0.1:{door}",
        "TOUCHSTONE_RETRIEVAL_ADDRESS": f"127.0.0.1:{door}",
    }
    serves = {"TOUCHSTONE_LISTEN": f"127.0.0.1:{engine}", "TOUCHSTONE_REVISION_MANIFEST": manifest.to_json()}
    python, vllm = sys.executable, str(ROOT / ".venv-vllm" / "bin" / "python")
    with ExitStack() as stack:
        stack.enter_context(scenery.process(scenery.valkey(broker, folder), {}))
        stack.enter_context(scenery.process([vllm, "-m", "touchstone_inference.engine"], serves))
        stack.enter_context(scenery.process([python, "-m", "touchstone_inference.router"], router))
        stack.enter_context(scenery.process([python, "-m", "touchstone_evaluation"], evaluation))
        stack.enter_context(scenery.process([python, "-m", "touchstone_evaluation.worker"], evaluation))
        await asyncio.gather(*(scenery.serving(f"127.0.0.1:{port}") for port in (engine, door, address)))
        async with grpc.aio.insecure_channel(f"127.0.0.1:{address}") as channel:
            stub: Any = pb_grpc.EvaluationServiceStub(channel)
            begun = time.perf_counter()
            await stub.StartRun(pb.StartRunRequest(dispatch_id="bench", spec=spec))
            run = pb.Run()
            async for response in stub.WatchRun(pb.WatchRunRequest(dispatch_id="bench")):
                run = response.run
            seconds = time.perf_counter() - begun
    assert run.verdict, run.message
    values = {metric.metric: metric.value for metric in run.metrics}
    wanted = {name: value for name, value in values.items() if name.partition("/")[2] in METRICS}
    return Side(wanted, seconds)


def _spec(manifest: Manifest, suites: Mapping[str, Asked], folder: Path) -> pb.RunSpec:
    subject = pb.Subject(
        type=pb.SUBJECT_TYPE_MODEL_DEPLOYMENT, name="default/chat", revision=manifest.name, digest=manifest.digest
    )
    spec = pb.RunSpec(subject=subject, execution=pb.Execution(parallelism=SLOTS))
    for name, suite in suites.items():
        file = folder / f"{name}-ours.jsonl"
        rows = [{"question": item.question, "choices": item.choices, "answers": item.answers} for item in suite.items]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        added = spec.suites.add(name=name, task=suite.task, dataset=pb.Dataset(uri=f"file://{file}"))
        added.parameters.update(suite.parameters)
        added.sampling.max_output_tokens = MAX_OUTPUT_TOKENS
    spec.criteria.add(
        name="any", required=True, metric=f"{next(iter(suites))}/accuracy",
        absolute=pb.AbsoluteCriterion(operator=pb.OPERATOR_GREATER_OR_EQUAL, value=0),
    )  # fmt: skip
    return spec


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else 100)

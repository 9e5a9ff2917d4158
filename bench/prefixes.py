"""`.venv-vllm/bin/python bench/prefixes.py MODEL [STRATEGY...]`: prompts that begin alike, routed by prefix or not.

Two engines of vLLM behind our router, each with a KV cache for about five of eight long instructions, each asked about
many times in random order. By prefix, an engine sees half of the instructions and keeps them; else each engine sees all
of them, and forgets. Told are the share of prompt tokens that came from a cache, and times to the first token.
"""

import asyncio
import json
import random
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import scenery
from touchstone.inference.v1 import inference_service_pb2 as pb
from touchstone.inference.v1 import inference_service_pb2_grpc as pb_grpc
from touchstone_runtime.revisions import Manifest
from touchstone_runtime.testing import free_port

STRATEGIES = ("PrefixAware", "LeastLoad", "RoundRobin")
GROUPS, REQUESTS, AT_ONCE, ENGINES = 8, 160, 2, 2
CONTEXT = 1024
ARGUMENTS = {"max-num-seqs": "4", "kv-cache-memory-mib": "160", "enforce-eager": "true", "dtype": "float32"}


async def main(model: Path, strategies: Sequence[str]) -> None:
    """Measure each strategy on engines of its own, and print a row for each."""
    manifest = scenery.vllm(model, deployment="chat", max_model_len=CONTEXT, args=ARGUMENTS)
    print(f"{'':12} {'cached':>7} {'first token p50':>16} {'p95':>9}")
    for strategy in strategies:
        cached, first = await _measure(manifest, strategy)
        cuts = statistics.quantiles(first, n=20, method="inclusive")
        print(f"{strategy:12} {cached:7.1%} {1e3 * cuts[9]:13.0f} ms {1e3 * cuts[18]:6.0f} ms", flush=True)


async def _measure(manifest: Manifest, strategy: str) -> tuple[float, list[float]]:
    ports = [free_port() for _ in range(ENGINES)]
    door, http = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        view = Path(folder) / "view.json"
        view.write_text(json.dumps(scenery.view(manifest, ports, strategy=strategy)))
        engines = [
            {
                "TOUCHSTONE_LISTEN": f"127.0.0.1:{port}",
                "TOUCHSTONE_REVISION_MANIFEST": manifest.to_json(),
                "VLLM_CPU_OMP_THREADS_BIND": str(place),
            }
            for place, port in enumerate(ports)
        ]
        router = {
            "TOUCHSTONE_LISTEN": f"127.0.0.1:{door}",
            "TOUCHSTONE_HTTP_LISTEN": f"127.0.0.1:{http}",
            "TOUCHSTONE_STATIC_VIEW": str(view),
            "TOUCHSTONE_AUTH": "None",
        }
        with ExitStack() as stack:
            for module, environ in [*(("engine", each) for each in engines), ("router", router)]:
                command = [sys.executable, "-m", f"touchstone_inference.{module}"]
                stack.enter_context(scenery.process(command, environ))
            await asyncio.gather(*(scenery.serving(f"127.0.0.1:{port}") for port in (*ports, door)))
            async with grpc.aio.insecure_channel(f"127.0.0.1:{door}") as channel:
                return await _ask_all(pb_grpc.InferenceServiceStub(channel))


async def _ask_all(stub: Any) -> tuple[float, list[float]]:
    chance = random.Random(7)
    asked = [(group, number) for number in range(REQUESTS // GROUPS) for group in range(GROUPS)]
    chance.shuffle(asked)
    left, first, totals = iter(asked), [], [0, 0]

    async def client() -> None:
        for group, number in left:
            instructions = f"You are clerk {group} of the assay office. " + f"Rule {group}: weigh, rub, compare. " * 60
            messages = [
                pb.Message(role=pb.ROLE_SYSTEM, content=instructions),
                pb.Message(role=pb.ROLE_USER, content=f"What of piece {number}?"),
            ]
            sampling = pb.Sampling(max_output_tokens=8)
            request = pb.GenerateRequest(model="chat", messages=messages, sampling=sampling)
            parts = [part async for part in stub.Generate(request, timeout=120)]
            first.append(parts[-1].timings.time_to_first_token_seconds)
            totals[0] += parts[-1].usage.cached_input_tokens
            totals[1] += parts[-1].usage.input_tokens

    await asyncio.gather(*(client() for _ in range(AT_ONCE)))
    return totals[0] / totals[1], first


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:] or STRATEGIES))

"""`python bench/data.py [MEGABYTES] [--alone]`: a data pipeline beside datatrove, on the same input and steps.

The input is made up: texts of common English words in sentences, a tenth copied, a tenth copied with one sentence
more. Steps: the rules of Gopher and C4, exact and MinHash deduplication (5-grams, 14 bands of 8). Ours runs as it does
on the platform: server, broker and one worker, each a process, with every shard synced to the disk; datatrove runs its
stages after each other, one task at a time. Memory is the worker's resident set at its highest. `--alone` leaves
datatrove out, as for inputs that are made to measure memory.
"""

import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import scenery
from google.protobuf import json_format
from touchstone.data.v1 import data_service_pb2 as pb
from touchstone.data.v1 import data_service_pb2_grpc as pb_grpc
from touchstone_runtime import channels

PEER = Path(__file__).with_name("data_peer.py")
POLL_SECONDS = 0.5
STEPS: list[dict[str, Any]] = [
    {"name": "quality", "parameters": {"rules": ["gopher-repetition", "gopher", "c4"]}},
    {"name": "deduplicate-exact", "parameters": {"normalise": False}},
    {"name": "deduplicate-fuzzy", "parameters": {"similarity": 0}},
]
COMMON = [
    *(
        "the",
        "of",
        "and",
        "to",
        "a",
        "in",
        "that",
        "is",
        "was",
        "he",
        "for",
        "it",
        "with",
        "as",
        "his",
        "on",
        "be",
        "at",
    ),
    *("by", "i", "this", "had", "not", "are", "but", "from", "or", "have", "an", "they", "which", "one", "you", "were"),
    *("all", "she", "there", "would", "their", "we", "him", "been", "has", "when", "who", "will", "more", "no", "if"),
]


class Side(NamedTuple):
    """What one side did."""

    seconds: float
    kept: int
    memory_mib: float


def main(megabytes: int, *, is_alone: bool) -> None:
    """Run both sides, and print a row for each."""
    with tempfile.TemporaryDirectory(prefix="touchstone-data-") as folder:
        root = Path(folder)
        source = root / "input" / "in.jsonl"
        records, size = write(source, megabytes)
        print(f"{records} records, {size / 2**20:.0f} MiB")
        sides = {"touchstone": asyncio.run(ours(root, source))}
        if not is_alone:
            sides["datatrove 0.10"] = theirs(root, source)
        print(f"{'':16}{'seconds':>10}{'MiB/s':>8}{'records/s':>11}{'kept':>10}{'memory MiB':>12}")
        for name, side in sides.items():
            rates = f"{size / 2**20 / side.seconds:8.2f}{records / side.seconds:11.0f}"
            print(f"{name:16}{side.seconds:10.1f}{rates}{side.kept:10}{side.memory_mib:12.0f}")


def write(path: Path, megabytes: int) -> tuple[int, int]:
    """Write the input; the same for the same size."""
    rng = random.Random(1)
    rare = [
        "".join(rng.choices("bcdfglmnprst", k=1) + rng.choices("aeioulnrst", k=rng.randint(3, 8)))
        for _ in range(20_000)
    ]
    path.parent.mkdir()
    recent: list[str] = []
    records = 0
    with path.open("w") as file:
        while file.tell() < megabytes * 2**20:
            chance = rng.random()
            if chance < 0.2 and recent:
                text = rng.choice(recent) + (f" {sentence(rng, rare)}" if chance < 0.1 else "")
            else:
                text = " ".join(sentence(rng, rare) for _ in range(rng.randint(8, 30)))
                recent = [*recent[-99:], text]
            file.write(json.dumps({"id": str(records), "text": text}) + "\n")
            records += 1
    return records, path.stat().st_size


def sentence(rng: random.Random, rare: list[str]) -> str:
    """Write a sentence: half of it common words."""
    words = [rng.choice(COMMON) if rng.random() < 0.5 else rng.choice(rare) for _ in range(rng.randint(8, 24))]
    return " ".join(words).capitalize() + "."


async def ours(root: Path, source: Path) -> Side:
    """Run the pipeline on the platform's processes."""
    broker, port = scenery.free_port(), scenery.free_port()
    environ = {
        "TOUCHSTONE_DATABASE_URL": f"sqlite:///{root}/data.sqlite",
        "TOUCHSTONE_BROKER_URL": f"redis://127.0.0.1:{broker}/0",
        "TOUCHSTONE_ARTEFACTS_URI": f"file://{root}/artefacts",
        "TOUCHSTONE_WORK_DIR": f"{root}/work",
        "TOUCHSTONE_LISTEN": f"127.0.0.1:{port}",
    }
    message = pb.StartPipelineRequest(dispatch_id="bench")
    spec = {"name": "bench", "sources": [{"name": "in", "uri": f"file://{source}"}], "steps": STEPS}
    json_format.ParseDict(spec, message.spec)
    with ExitStack() as running:
        running.enter_context(scenery.process(scenery.valkey(broker, root), {}))
        running.enter_context(scenery.process([sys.executable, "-m", "touchstone_data"], environ))
        running.enter_context(scenery.process([sys.executable, "-m", "touchstone_data.worker"], environ))
        worker = next(p for p in psutil.Process().children() if "touchstone_data.worker" in p.cmdline())
        await scenery.serving(f"127.0.0.1:{port}")
        async with channels.connect(f"127.0.0.1:{port}") as channel:
            stub: Any = pb_grpc.DataServiceStub(channel)
            begun, memory = time.monotonic(), 0
            found = (await stub.StartPipeline(message)).pipeline
            while found.state in (pb.PIPELINE_STATE_PENDING, pb.PIPELINE_STATE_RUNNING):
                await asyncio.sleep(POLL_SECONDS)
                memory = max(memory, worker.memory_info().rss)
                found = (await stub.GetPipeline(pb.GetPipelineRequest(dispatch_id="bench"))).pipeline
            if found.state != pb.PIPELINE_STATE_SUCCEEDED:
                raise SystemExit(f"the pipeline ended without a snapshot: {found.error.message}")
            return Side(time.monotonic() - begun, found.snapshot.records, memory / 2**20)


def theirs(root: Path, source: Path) -> Side:
    """Run datatrove in an environment of its own."""
    command = [
        "uv",
        "run",
        "--isolated",
        "--no-project",
        "--python",
        "3.11",
        "--with",
        "datatrove[io,processing]==0.10.1",
    ]
    command += ["--with", "spacy==3.8.18", "python", str(PEER), str(source), str(root / "peer")]
    process = psutil.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    memory = 0
    while process.poll() is None:
        for child in process.children(recursive=True):
            try:
                memory = max(memory, child.memory_info().rss)
            except psutil.NoSuchProcess:
                continue
        time.sleep(POLL_SECONDS)
    answer = json.loads(process.stdout.read().splitlines()[-1])
    print("datatrove, seconds by stage:", {name: round(seconds, 1) for name, seconds in answer["seconds"].items()})
    return Side(sum(answer["seconds"].values()), answer["kept"], memory / 2**20)


if __name__ == "__main__":
    sizes = [int(argument) for argument in sys.argv[1:] if argument.isdigit()]
    main(*(sizes or [50]), is_alone="--alone" in sys.argv)

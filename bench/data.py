"""`python bench/data.py [MEBIBYTES] [--alone] [--cheap] [--workers N]`: a data pipeline beside datatrove.

The input is made up as it is written: sentences of half common and half rare words, a tenth of the texts copied, a
tenth copied with one sentence more. Steps: the rules of Gopher and C4, exact and MinHash deduplication (5-grams, 14
bands of 8); with `--cheap` only repaired texts, a least length and exact deduplication. Ours runs as it does on the
platform: server, broker and workers, each a process, with every shard synced to the disk; datatrove runs its stages
after each other, one task at a time. Memory is the largest that any process of a side had. `--alone` leaves datatrove
out and compresses the input by zstd, as for inputs of many GiB.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
import pyarrow as pa
import scenery
from google.protobuf import json_format
from touchstone.data.v1 import data_service_pb2 as pb
from touchstone.data.v1 import data_service_pb2_grpc as pb_grpc
from touchstone_runtime import channels
from touchstone_runtime.testing import free_port

PEER = Path(__file__).with_name("data_peer.py")
POLL_SECONDS = 0.5
STEPS: list[dict[str, Any]] = [
    {"name": "quality", "parameters": {"rules": ["gopher-repetition", "gopher", "c4"]}},
    {"name": "deduplicate-exact", "parameters": {"normalise": False}},
    {"name": "deduplicate-fuzzy", "parameters": {"similarity": 0}},
]
CHEAP: list[dict[str, Any]] = [
    {"name": "fix-text"},
    {"name": "length", "parameters": {"min_words": 5}},
    {"name": "deduplicate-exact"},
]
COMMON = [
    "the", "of", "and", "to", "a", "in", "that", "is", "was", "he", "for", "it",
    "with", "as", "his", "on", "be", "at", "by", "i", "this", "had", "not", "are",
    "but", "from", "or", "have", "an", "they", "which", "one", "you", "were", "all", "she",
    "there", "would", "their", "we", "him", "been", "has", "when", "who", "will", "more", "no",
    "if",
]  # fmt: skip


class Side(NamedTuple):
    """What one side did."""

    seconds: float
    cpu_seconds: float
    kept: int
    memory_mib: dict[str, float]
    """The most that a process had, by its name."""


def main(options: argparse.Namespace) -> None:
    """Run both sides, and print a row for each."""
    with tempfile.TemporaryDirectory(prefix="touchstone-data-", dir=options.folder) as folder:
        root = Path(folder)
        source = root / "input" / ("in.jsonl.zst" if options.alone else "in.jsonl")
        records, size = write(source, options.mebibytes)
        print(f"{records} records, {size / 2**20:.0f} MiB, {source.stat().st_size / 2**20:.0f} MiB on the disk")
        steps = CHEAP if options.cheap else STEPS
        sides = {"touchstone": asyncio.run(ours(root, source, steps, options.workers))}
        if not options.alone:
            sides["datatrove 0.10"] = theirs(root, source)
        print(f"{'':16}{'seconds':>10}{'CPU s':>8}{'MiB/s':>8}{'records/s':>11}{'kept':>10}  memory, MiB")
        for name, side in sides.items():
            rates = f"{size / 2**20 / side.seconds:8.2f}{records / side.seconds:11.0f}"
            memory = ", ".join(f"{process} {most:.0f}" for process, most in side.memory_mib.items())
            print(f"{name:16}{side.seconds:10.1f}{side.cpu_seconds:8.1f}{rates}{side.kept:10}  {memory}")


def write(path: Path, mebibytes: int) -> tuple[int, int]:
    """Write the input; the same for the same size. Returns its records and bytes, uncompressed."""
    path.parent.mkdir()
    size = records = 0
    with pa.output_stream(str(path), compression="zstd" if path.suffix == ".zst" else None) as file:
        for text in texts():
            line = json.dumps({"id": str(records), "text": text}).encode() + b"\n"
            file.write(line)
            size += len(line)
            records += 1
            if size >= mebibytes * 2**20:
                return records, size
    raise AssertionError("texts do not end")


def texts() -> Iterator[str]:
    """Make texts without end."""
    rng = np.random.default_rng(1)
    letters = np.array(list("aeioulnrst"))
    rare = ["".join(rng.choice(letters, rng.integers(4, 10))) for _ in range(20_000)]
    recent: list[str] = []
    while True:
        made = sentences(rng, rare)
        for chance in rng.random(1000):
            if chance < 0.2 and recent:
                yield recent[int(chance * 5 * len(recent))] + (f" {next(made)}" if chance < 0.1 else "")
                continue
            text = " ".join(next(made) for _ in range(int(rng.integers(8, 31))))
            recent = [*recent[-99:], text]
            yield text


def sentences(rng: np.random.Generator, rare: list[str]) -> Iterator[str]:
    """Make sentences without end: half of the words are common ones."""
    words = np.array([*COMMON, *rare], dtype=object)
    while True:
        lengths = rng.integers(8, 25, 10_000)
        total = int(lengths.sum())
        is_rare = rng.random(total) < 0.5
        places = np.where(is_rare, rng.integers(len(COMMON), len(words), total), rng.integers(0, len(COMMON), total))
        drawn, end = words[places].tolist(), 0
        for length in lengths.tolist():
            yield " ".join(drawn[end : end + length]).capitalize() + "."
            end += length


async def ours(root: Path, source: Path, steps: list[dict[str, Any]], workers: int) -> Side:
    """Run the pipeline on the platform's processes."""
    broker, port = free_port(), free_port()
    environ = {
        "TOUCHSTONE_DATABASE_URL": f"sqlite:///{root}/data.sqlite",
        "TOUCHSTONE_BROKER_URL": f"redis://127.0.0.1:{broker}/0",
        "TOUCHSTONE_ARTEFACTS_URI": f"file://{root}/artefacts",
        "TOUCHSTONE_WORK_DIR": f"{root}/work",
        "TOUCHSTONE_LISTEN": f"127.0.0.1:{port}",
    }
    message = pb.StartPipelineRequest(dispatch_id="bench")
    spec = {"name": "bench", "sources": [{"name": "in", "uri": f"file://{source}"}], "steps": steps}
    json_format.ParseDict(spec, message.spec)
    with ExitStack() as running:
        running.enter_context(scenery.process(scenery.valkey(broker, root), {}))
        running.enter_context(scenery.process([sys.executable, "-m", "touchstone_data"], environ))
        for _ in range(workers):
            running.enter_context(scenery.process([sys.executable, "-m", "touchstone_data.worker"], environ))
        processes = {p.pid: p.cmdline()[-1] for p in psutil.Process().children() if "-m" in p.cmdline()}
        await scenery.serving(f"127.0.0.1:{port}")
        async with channels.connect(f"127.0.0.1:{port}") as channel:
            stub: Any = pb_grpc.DataServiceStub(channel)
            begun = time.monotonic()
            found = (await stub.StartPipeline(message)).pipeline
            while found.state in (pb.PIPELINE_STATE_PENDING, pb.PIPELINE_STATE_RUNNING):
                await asyncio.sleep(POLL_SECONDS)
                found = (await stub.GetPipeline(pb.GetPipelineRequest(dispatch_id="bench"))).pipeline
            if found.state != pb.PIPELINE_STATE_SUCCEEDED:
                raise SystemExit(f"the pipeline ended without a snapshot: {found.error.message}")
            memory: dict[str, float] = {}
            for pid, name in processes.items():
                memory[name] = max(memory.get(name, 0.0), most_memory(pid))
            used = sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in processes)
            return Side(time.monotonic() - begun, used, found.snapshot.records, memory)


def most_memory(pid: int) -> float:
    """The largest resident set that a process had so far, in MiB, as the kernel kept it."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


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
    return Side(sum(answer["seconds"].values()), answer["cpu_seconds"], answer["kept"], {"task": memory / 2**20})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("mebibytes", type=int, nargs="?", default=50)
    parser.add_argument("--alone", action="store_true", help="without datatrove, and the input compressed")
    parser.add_argument("--cheap", action="store_true", help="cheap steps only")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--folder", help="where input, shards and snapshot go: about twice the size of the input")
    main(parser.parse_args())

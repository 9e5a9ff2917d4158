"""`python bench/data_peer.py INPUT FOLDER`: the same filters and deduplication by datatrove, one task at a time.

Run by bench/data.py, in an environment of its own. Prints a JSON object: seconds by stage, records at the end.
"""

import gzip
import json
import os
import sys
import time
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.exact_dedup import (
    ExactDedupConfig,
    ExactDedupFilter,
    ExactDedupSignature,
    ExactFindDedups,
)
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets
from datatrove.pipeline.filters import C4QualityFilter, GopherQualityFilter, GopherRepetitionFilter
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers.jsonl import JsonlWriter


def main(source: Path, folder: Path) -> None:
    """Filter, deduplicate exactly, deduplicate by MinHash."""
    minhash, exact = MinhashConfig(), ExactDedupConfig(content_getter=lambda document: document.text)
    at = {
        name: str(folder / name) for name in ("filtered", "hashes", "same", "exact", "signed", "near", "remove", "out")
    }
    stages = {
        "filter": [
            JsonlReader(str(source.parent), glob_pattern=source.name),
            GopherRepetitionFilter(),
            GopherQualityFilter(),
            C4QualityFilter(filter_no_terminal_punct=False),
            JsonlWriter(at["filtered"]),
        ],
        "exact 1": [JsonlReader(at["filtered"]), ExactDedupSignature(at["hashes"], exact)],
        "exact 2": [ExactFindDedups(at["hashes"], at["same"], exact)],
        "exact 3": [
            JsonlReader(at["filtered"]), ExactDedupFilter(at["same"], exact), JsonlWriter(at["exact"]),
        ],
        "minhash 1": [JsonlReader(at["exact"]), MinhashDedupSignature(at["signed"], minhash)],
        "minhash 2": [MinhashDedupBuckets(at["signed"], at["near"], config=minhash)],
        "minhash 3": [MinhashDedupCluster(at["near"], at["remove"], config=minhash)],
        "minhash 4": [JsonlReader(at["exact"]), MinhashDedupFilter(at["remove"]), JsonlWriter(at["out"])],
    }  # fmt: skip
    seconds = {}
    for name, pipeline in stages.items():
        begun = time.monotonic()
        tasks = minhash.num_buckets if name == "minhash 2" else 1
        LocalPipelineExecutor(pipeline, tasks=tasks, workers=1, logging_dir=str(folder / "logs" / name)).run()
        seconds[name] = time.monotonic() - begun
    kept = 0
    for path in Path(at["out"]).glob("*.jsonl.gz"):
        with gzip.open(path) as file:
            kept += sum(1 for _ in file)
    sys.stdout.write(json.dumps({"seconds": seconds, "cpu_seconds": sum(os.times()[:4]), "kept": kept}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

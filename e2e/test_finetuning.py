"""FinetuneJobs on a real cluster. Its worker is the one without PyTorch, so here a training comes to its trainer and no further."""

import json
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(900)

WORKER = ("-n", "touchstone", "deployment/touchstone-finetuning-worker")
FILES = "/var/lib/touchstone/work/files"
WRITE = "import pathlib, sys; path = pathlib.Path(sys.argv[1]); path.parent.mkdir(exist_ok=True); path.write_text(sys.argv[2])"
JOB = {"apiVersion": "touchstone.dev/v1alpha1", "kind": "FinetuneJob", "metadata": {"name": "untrained"}}


def put(kubernetes: Any, name: str, content: str) -> str:
    """Write a file onto the workers' volume, as a user would, and return its address."""
    kubernetes.kubectl("exec", *WORKER, "--", "python", "-c", WRITE, f"{FILES}/{name}", content)
    return f"file://{FILES}/{name}"


def test_a_job_says_that_its_worker_has_no_trainer(kubernetes: Any, release: Any) -> None:
    record = {"messages": [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "A stone."}]}
    spec = {
        "baseModel": {"uri": put(kubernetes, "base.gguf", "weights")},
        "method": {"type": "LoRA", "lora": {"rank": 8}},
        "dataset": {
            "uri": put(kubernetes, "train.jsonl", json.dumps(record)),
            "format": "ChatML",
            "validationSplit": "0",
        },
        "output": {"uri": f"file://{FILES}/output"},
    }
    kubernetes.apply({**JOB, "spec": spec})
    job = ("finetunejob", "untrained")
    kubernetes.until(lambda: kubernetes.condition(*job, "Succeeded").get("status") == "False", "the end of the job")
    condition = kubernetes.condition(*job, "Succeeded")
    assert condition["reason"] == "TrainerMissing", condition
    assert "touchstone-finetuning[train]" in condition["message"]

"""FinetuneJobs on a real cluster, each as a Job. The image here is the one without PyTorch: it merges, and does not train."""

import json
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(900)

NAMESPACE = "touchstone"
FILES = "/var/lib/touchstone/work/files"
WRITE = "import pathlib, sys; path = pathlib.Path(sys.argv[1]); path.parent.mkdir(exist_ok=True); path.write_text(sys.argv[2])"
MODEL = """
import pathlib, sys, numpy, safetensors.numpy
folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
(folder / "config.json").write_text("{}")
width, value = map(int, sys.argv[2:])
safetensors.numpy.save_file({"a": numpy.full((width, width), value, numpy.float32)}, folder / "model.safetensors")
"""
READ = "import sys, safetensors.numpy; print(safetensors.numpy.load_file(sys.argv[1])['a'][0, 0])"
CHAT = [{"role": "user", "template": "{{ question }}"}, {"role": "assistant", "template": "{{ answer }}"}]
STEPS = [{"name": "deduplicate-exact"}, {"name": "to-chat", "parameters": {"messages": CHAT}}]
MERGED = f"file://{FILES}/merged"


def run(kubernetes: Any, program: str, *arguments: str, service: str = "finetuning") -> str:
    """Run a program where the workers' volume is."""
    worker = f"deployment/touchstone-{service}-worker"
    told: str = kubernetes.kubectl("exec", "-n", NAMESPACE, worker, "--", "python", "-c", program, *arguments)
    return told


def put(kubernetes: Any, name: str, content: str, *, service: str = "finetuning") -> str:
    """Write a file onto the workers' volume, as a user would, and return its address."""
    run(kubernetes, WRITE, f"{FILES}/{name}", content, service=service)
    return f"file://{FILES}/{name}"


def job(name: str, **spec: Any) -> dict[str, Any]:
    kind = {"apiVersion": "touchstone.dev/v1alpha1", "kind": "FinetuneJob"}
    return {**kind, "metadata": {"name": name}, "spec": {"output": {"uri": MERGED}, **spec}}


def ended(kubernetes: Any, name: str) -> dict[str, Any]:
    """Wait for the end of a FinetuneJob, and return its condition."""
    found: dict[str, Any] = {}

    def has_ended() -> bool:
        found.update(kubernetes.condition("finetunejob", name, "Succeeded"))
        return found.get("status") in ("True", "False")

    kubernetes.until(has_ended, f"the end of {name}", 240)
    return found


def jobs(kubernetes: Any) -> list[Any]:
    """The Jobs of trainings, the newest last."""
    found = kubernetes.get("jobs", "-n", NAMESPACE, "-l", "touchstone.dev/run")["items"]
    return sorted(found, key=lambda each: each["metadata"]["creationTimestamp"])


@pytest.fixture(scope="module")
def models(kubernetes: Any, release: Any) -> dict[str, Any]:
    """A base and two models that were made from it."""
    for name, value in (("base", 0), ("one", 1), ("other", 3)):
        run(kubernetes, MODEL, f"{FILES}/{name}", "4", str(value))
    return merge("base", "one", "other")


def merge(base: str, *models: str, kind: str = "Linear", density: str = "1") -> dict[str, Any]:
    """Write what merges models of the volume."""
    merged = [
        {"name": f"model-{i}", "uri": f"file://{FILES}/{name}/", "density": density} for i, name in enumerate(models)
    ]
    return {
        "baseModel": {"uri": f"file://{FILES}/{base}/"},
        "method": {"type": "Merge", "merge": {"type": kind, "models": merged}},
    }


def test_a_merge_is_a_job_of_its_own_and_comes_to_a_model(kubernetes: Any, models: dict[str, Any]) -> None:
    kubernetes.apply(job("merged", **models, resources={"cpu": "250m", "memory": "512Mi"}))
    condition = ended(kubernetes, "merged")
    assert condition["status"] == "True", condition
    made = kubernetes.get("finetunejob", "merged", "-n", "default")["status"]["artifact"]
    assert made["type"] == "Model"
    path = made["uri"].removeprefix("file://").partition("#")[0]
    assert float(run(kubernetes, READ, f"{path}model.safetensors")) == 2.0
    found = jobs(kubernetes)[-1]
    container = found["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"]["limits"] == {"cpu": "250m", "memory": "512Mi"}
    assert found["status"]["succeeded"] == 1


def running_pod(kubernetes: Any, name: str) -> str:
    """Start a merge that takes a while, and return its pod once it runs."""
    run(kubernetes, MODEL, f"{FILES}/large", "4096", "1")
    kubernetes.apply(job(name, **merge("large", *["large"] * 12, kind="TIES", density="0.5")))
    before = {each["metadata"]["name"] for each in pods(kubernetes)}
    found: list[str] = []

    def runs() -> bool:
        new = [each for each in pods(kubernetes) if each["metadata"]["name"] not in before]
        found[:] = [each["metadata"]["name"] for each in new if each["status"]["phase"] == "Running"]
        return bool(found)

    kubernetes.until(runs, f"the trainer of {name}")
    return found[0]


def pods(kubernetes: Any) -> list[Any]:
    found: list[Any] = kubernetes.get("pods", "-n", NAMESPACE, "-l", "touchstone.dev/run")["items"]
    return found


def test_an_evicted_pod_is_a_preemption_and_no_attempt(kubernetes: Any, models: dict[str, Any]) -> None:
    pod = running_pod(kubernetes, "evicted")
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": NAMESPACE}}
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction"
    kubernetes.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))
    assert ended(kubernetes, "evicted")["status"] == "True"
    status = kubernetes.get("finetunejob", "evicted", "-n", "default")["status"]
    assert (status["attempts"], status["preemptions"]) == (1, 1)


def test_a_job_outlives_its_worker(kubernetes: Any, models: dict[str, Any]) -> None:
    pod = running_pod(kubernetes, "outlived")
    count = len(jobs(kubernetes))
    worker = ("pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=finetuning-worker")
    kubernetes.kubectl("delete", *worker, "--grace-period=0", "--force")
    assert ended(kubernetes, "outlived")["status"] == "True"
    status = kubernetes.get("finetunejob", "outlived", "-n", "default")["status"]
    # The kubelet may give a worker the time to say that it stops: then that was a preemption, and no attempt.
    assert status["attempts"] + status["preemptions"] == 2
    assert len(jobs(kubernetes)) == count
    assert pod in {each["metadata"]["name"] for each in pods(kubernetes)}


def test_memory_that_does_not_suffice_is_told_with_its_limit(kubernetes: Any, release: Any) -> None:
    run(kubernetes, MODEL, f"{FILES}/large", "4096", "1")
    kubernetes.apply(job("squeezed", **merge("large", "large", "large"), resources={"memory": "96Mi"}, backoffLimit=0))
    condition = ended(kubernetes, "squeezed")
    assert condition["reason"] == "OutOfMemory", condition
    assert "limit of 96Mi" in condition["message"]


def test_a_job_without_a_node_says_so_and_goes_with_its_finetunejob(kubernetes: Any, models: dict[str, Any]) -> None:
    kubernetes.apply(job("waiting", **models, resources={"gpu": {"count": 1, "resourceName": "example.com/gpu"}}))

    def told() -> str:
        message: str = kubernetes.condition("finetunejob", "waiting", "Progressing").get("message", "")
        return message

    kubernetes.until(lambda: "Insufficient example.com/gpu" in told(), "word of the scheduler")
    assert kubernetes.condition("finetunejob", "waiting", "Progressing")["reason"] == "Waiting"
    name = jobs(kubernetes)[-1]["metadata"]["name"]
    kubernetes.kubectl("delete", "finetunejob", "waiting", "-n", "default")
    kubernetes.until(
        lambda: name not in {each["metadata"]["name"] for each in jobs(kubernetes)}, "the end of its Job", 30
    )


@pytest.mark.parametrize("limit", ["count/jobs.batch", "requests.memory"])
def test_a_quota_is_told_while_it_is_waited_for(kubernetes: Any, models: dict[str, Any], limit: str) -> None:
    """The API server refuses the Job itself by its count, and its pod by its memory, of which events alone tell."""
    name = f"patient-{limit.rpartition('.')[2]}"
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "no-more"},
        "spec": {"hard": {limit: "0"}},
    }
    kubernetes.apply(quota, namespace=NAMESPACE)
    try:
        kubernetes.apply(job(name, **models))
        kubernetes.until(
            lambda: "exceeded quota: no-more" in kubernetes.condition("finetunejob", name, "Progressing").get("message", ""),
            "word of the quota",
        )  # fmt: skip
    finally:
        kubernetes.kubectl("delete", "resourcequota", "no-more", "-n", NAMESPACE)
    assert ended(kubernetes, name)["status"] == "True"


def test_a_pipeline_makes_the_data_of_a_job_whose_image_cannot_train(kubernetes: Any, release: Any) -> None:
    records = [{"question": f"What is stone {number % 8}?", "answer": "Grey."} for number in range(16)]
    source = put(kubernetes, "raw.jsonl", "".join(f"{json.dumps(each)}\n" for each in records), service="data")
    pipeline = {"sources": [{"name": "raw", "uri": source}], "textFields": ["question"], "steps": STEPS}
    spec = {
        "baseModel": {"uri": put(kubernetes, "base.gguf", "weights")},
        "method": {"type": "LoRA", "lora": {"rank": 8}},
        "dataset": {"pipeline": pipeline, "format": "ChatML", "validationSplit": "0"},
    }
    kubernetes.apply(job("untrained", **spec))
    condition = ended(kubernetes, "untrained")
    assert condition["reason"] == "TrainerMissing", condition
    assert "touchstone-finetuning[train]" in condition["message"]
    assert kubernetes.get("finetunejob", "untrained", "-n", "default")["status"]["dataset"]["records"] == 8

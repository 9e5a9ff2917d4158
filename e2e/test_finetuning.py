"""FinetuneJobs on a real cluster, each as a Job. The image here is the one without PyTorch: it merges, and does not train."""

import json
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(900)

NAMESPACE = "touchstone"
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


@pytest.fixture(scope="module")
def models(trainings: Any) -> dict[str, Any]:
    """A base and two models that were made from it."""
    for name, value in (("base", 0), ("one", 1), ("other", 3)):
        trainings.run(MODEL, f"{trainings.FILES}/{name}", "4", str(value))
    return merge(trainings, "base", "one", "other")


def merge(trainings: Any, base: str, *models: str, kind: str = "Linear", density: str = "1") -> dict[str, Any]:
    """Write what merges models of the volume."""
    merged = [
        {"name": f"model-{i}", "uri": f"file://{trainings.FILES}/{name}/", "density": density}
        for i, name in enumerate(models)
    ]
    return {
        "baseModel": {"uri": f"file://{trainings.FILES}/{base}/"},
        "method": {"type": "Merge", "merge": {"type": kind, "models": merged}},
    }


def test_a_merge_is_a_job_of_its_own_and_comes_to_a_model(trainings: Any, models: dict[str, Any]) -> None:
    trainings.apply("merged", **models, resources={"cpu": "250m", "memory": "512Mi"})
    condition = trainings.ended("merged")
    assert condition["status"] == "True", condition
    made = trainings.status("merged")["artifact"]
    assert made["type"] == "Model"
    path = made["uri"].removeprefix("file://").partition("#")[0]
    assert float(trainings.run(READ, f"{path}model.safetensors")) == 2.0
    found = trainings.jobs()[-1]
    container = found["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"]["limits"] == {"cpu": "250m", "memory": "512Mi"}
    assert found["status"]["succeeded"] == 1


def test_keys_of_a_team_are_read_only_where_a_role_lets_the_worker(
    kubernetes: Any, trainings: Any, models: dict[str, Any], store: dict[str, str]
) -> None:
    kubernetes.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "store"}, "stringData": store})
    output = {"uri": "s3://team-a/made", "credentialsSecretRef": {"name": "store"}}
    trainings.apply("forbidden", **models, output=output)
    condition = trainings.ended("forbidden")
    assert condition["reason"] == "SecretForbidden"
    assert "finetuning.worker.readSecrets" in condition["message"]
    trainings.let_read("store")
    trainings.apply("published", **models, output=output)
    condition = trainings.ended("published")
    assert condition["status"] == "True", condition
    assert trainings.status("published")["artifact"]["uri"].startswith("s3://team-a/made/")
    assert store["AWS_SECRET_ACCESS_KEY"] not in kubernetes.kubectl("get", "finetunejobs,events", "-A", "-o", "yaml")


def running_pod(trainings: Any, name: str) -> str:
    """Start a merge that takes a while, and return its pod once it runs."""
    trainings.run(MODEL, f"{trainings.FILES}/large", "4096", "1")
    trainings.apply(name, **merge(trainings, "large", *["large"] * 12, kind="TIES", density="0.5"))
    before = {each["metadata"]["name"] for each in trainings.pods()}
    found: list[str] = []

    def runs() -> bool:
        new = [each for each in trainings.pods() if each["metadata"]["name"] not in before]
        found[:] = [each["metadata"]["name"] for each in new if each["status"]["phase"] == "Running"]
        return bool(found)

    trainings.kubernetes.until(runs, f"the trainer of {name}")
    return found[0]


def test_an_evicted_pod_is_a_preemption_and_no_attempt(trainings: Any, models: dict[str, Any]) -> None:
    pod = running_pod(trainings, "evicted")
    trainings.evict(pod)
    assert trainings.ended("evicted")["status"] == "True"
    status = trainings.status("evicted")
    assert (status["attempts"], status["preemptions"]) == (1, 1)


def test_a_job_outlives_its_worker(kubernetes: Any, trainings: Any, models: dict[str, Any]) -> None:
    pod = running_pod(trainings, "outlived")
    count = len(trainings.jobs())
    worker = ("pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=finetuning-worker")
    kubernetes.kubectl("delete", *worker, "--grace-period=0", "--force")
    assert trainings.ended("outlived")["status"] == "True"
    status = trainings.status("outlived")
    # The kubelet may give a worker the time to say that it stops: then that was a preemption, and no attempt.
    assert status["attempts"] + status["preemptions"] == 2
    assert len(trainings.jobs()) == count
    assert pod in {each["metadata"]["name"] for each in trainings.pods()}


def test_memory_that_does_not_suffice_is_told_with_its_limit(trainings: Any) -> None:
    trainings.run(MODEL, f"{trainings.FILES}/large", "4096", "1")
    trainings.apply(
        "squeezed", **merge(trainings, "large", "large", "large"), resources={"memory": "96Mi"}, backoffLimit=0
    )
    condition = trainings.ended("squeezed")
    assert condition["reason"] == "OutOfMemory", condition
    assert "limit of 96Mi" in condition["message"]


def test_a_job_without_a_node_says_so_and_goes_with_its_finetunejob(
    kubernetes: Any, trainings: Any, models: dict[str, Any]
) -> None:
    trainings.apply("waiting", **models, resources={"gpu": {"count": 1, "resourceName": "example.com/gpu"}})

    def told() -> str:
        message: str = kubernetes.condition("finetunejob", "waiting", "Progressing").get("message", "")
        return message

    kubernetes.until(lambda: "Insufficient example.com/gpu" in told(), "word of the scheduler")
    assert kubernetes.condition("finetunejob", "waiting", "Progressing")["reason"] == "Waiting"
    name = trainings.jobs()[-1]["metadata"]["name"]
    kubernetes.kubectl("delete", "finetunejob", "waiting", "-n", "default")
    kubernetes.until(
        lambda: name not in {each["metadata"]["name"] for each in trainings.jobs()}, "the end of its Job", 30
    )


@pytest.mark.parametrize("limit", ["count/jobs.batch", "requests.memory"])
def test_a_quota_is_told_while_it_is_waited_for(
    kubernetes: Any, trainings: Any, models: dict[str, Any], limit: str
) -> None:
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
        trainings.apply(name, **models)
        kubernetes.until(
            lambda: "exceeded quota: no-more" in kubernetes.condition("finetunejob", name, "Progressing").get("message", ""),
            "word of the quota",
        )  # fmt: skip
    finally:
        kubernetes.kubectl("delete", "resourcequota", "no-more", "-n", NAMESPACE)
    assert trainings.ended(name)["status"] == "True"


def test_a_pipeline_makes_the_data_of_a_job_whose_image_cannot_train(trainings: Any) -> None:
    records = [{"question": f"What is stone {number % 8}?", "answer": "Grey."} for number in range(16)]
    source = trainings.put("raw.jsonl", "".join(f"{json.dumps(each)}\n" for each in records), service="data")
    pipeline = {"sources": [{"name": "raw", "uri": source}], "textFields": ["question"], "steps": STEPS}
    spec = {
        "baseModel": {"uri": trainings.put("base.gguf", "weights")},
        "method": {"type": "LoRA", "lora": {"rank": 8}},
        "dataset": {"pipeline": pipeline, "format": "ChatML", "validationSplit": "0"},
    }
    trainings.apply("untrained", **spec)
    condition = trainings.ended("untrained")
    assert condition["reason"] == "TrainerMissing", condition
    assert "touchstone-finetuning[train]" in condition["message"]
    assert trainings.status("untrained")["dataset"]["records"] == 8

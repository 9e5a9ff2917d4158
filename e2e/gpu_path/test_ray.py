"""ModelDeployments on Ray and vLLM, reconciled by KubeRay's operator, as pods on the CPU: `make e2e-gpu-path` runs it."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from touchstone.inference.v1 import inference_service_pb2 as pb
from touchstone.inference.v1 import inference_service_pb2_grpc as pb_grpc
from touchstone_runtime import channels
from touchstone_runtime.artefacts import Resolver

pytestmark = [pytest.mark.timeout(2400), pytest.mark.asyncio(loop_scope="module")]

ROOT = Path(__file__).parents[2]
WEIGHTS = Path(os.environ.get("TOUCHSTONE_E2E_WEIGHTS", ""))
"""A folder of safetensors."""
ARGUMENTS = {"max-num-seqs": "8", "kv-cache-memory-mib": "256", "enforce-eager": "true", "dtype": "float32"}
READY_SECONDS = 1200
ROLE = {
    "replicas": 1,
    "resources": {"memory": "3584Mi"},  # four of them are there at once while a revision takes over
    "podTemplate": {"env": [{"name": "UCX_TLS", "value": "tcp,self"}, {"name": "OMP_NUM_THREADS", "value": "1"}]},
}
APART = {
    "mode": "Disaggregated",
    "prefill": ROLE,
    "decode": ROLE,
    "kvTransfer": {"connector": "Nixl", "decider": {"minPromptTokens": 256}, "timeoutSeconds": 60},
}


@pytest.fixture(scope="module")
def ray(kubernetes: Any, release: Any) -> None:
    """The platform with Ray enabled, and weights on the claim `models`."""
    told = subprocess.run(
        [sys.executable, str(ROOT / "e2e/images"), "tags", "engine-vllm"], capture_output=True, check=True
    )
    (tag,) = json.loads(told.stdout).values()
    release.install(
        "ray.enabled=true", f"images.vllm.repository={release.images}/touchstone-engine-vllm", f"images.vllm.tag={tag}"
    )
    volume = kubernetes.get("pvc", "models", "-n", "default")["spec"]["volumeName"]
    target = Path(kubernetes.get("pv", volume)["spec"]["hostPath"]["path"]) / "weights"
    shutil.copytree(WEIGHTS, target, dirs_exist_ok=True)
    for path in (target, *target.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)


def deployment(example: Path, name: str, **serving: Any) -> list[dict[str, Any]]:
    """The example's closed-book model with its gate, on vLLM."""
    documents: list[dict[str, Any]] = list(yaml.safe_load_all((example / "a-model.yaml").read_text()))
    digest = Resolver(Path("/nonexistent")).resolve_sync(f"file://{WEIGHTS}").digest.removeprefix("sha256:")
    for document in documents:
        if document["kind"] == "ModelDeployment":
            document["metadata"]["name"] = name
            document["spec"]["model"] = {"uri": f"file:///var/cache/touchstone/weights#sha256={digest}"}
            document["spec"]["engine"] = {"type": "VLLM", "maxModelLen": 2048, "args": ARGUMENTS}
            document["spec"]["serving"] = serving
            document["spec"]["rollout"]["progressDeadlineSeconds"] = READY_SECONDS
            (gate,) = document["spec"]["rollout"]["gates"]
            # Four engines share two cores while a revision takes over: how fast they are then says nothing.
            gate["evalRunTemplate"]["spec"]["criteria"][0]["absolute"]["value"] = "240000"
    return documents


@pytest_asyncio.fixture(loop_scope="module")
async def router(kubernetes: Any, release: Any, caller: Path) -> AsyncIterator[Any]:
    async with channels.connect(kubernetes.service_address("touchstone-router", 50051), token_file=caller) as channel:
        yield pb_grpc.InferenceServiceStub(channel)


async def ask(router: Any, model: str, question: str, tokens: int = 16) -> str:
    request = pb.GenerateRequest(
        model=f"default/{model}",
        messages=[pb.Message(role=pb.ROLE_USER, content=question)],
        sampling=pb.Sampling(max_output_tokens=tokens),
    )
    return "".join([part.text async for part in router.Generate(request, timeout=120)])


def is_ready(kubernetes: Any, name: str) -> bool:
    return bool(kubernetes.condition("modeldeployment", name, "Ready").get("status") == "True")


async def test_a_model_on_vllm_passes_its_gate_and_serves(
    kubernetes: Any, ray: None, example: Path, router: Any
) -> None:
    kubernetes.kubectl("apply", "-n", "default", "-f", str(example / "prompts.yaml"))
    kubernetes.apply(*deployment(example, "together", mode="Aggregated", aggregated=ROLE))
    kubernetes.until(lambda: is_ready(kubernetes, "together"), "readiness on Ray", READY_SECONDS)
    status = kubernetes.get("modeldeployment", "together", "-n", "default")["status"]
    gates = {gate["name"]: gate["verdict"] for revision in status["revisions"] for gate in revision.get("gates", ())}
    assert set(gates.values()) == {"Passed"}
    assert "Paris" in await ask(router, "together", "What is the capital of France?")
    kubernetes.kubectl("delete", "modeldeployment", "together", "-n", "default")


async def test_prefill_and_decode_apart_serve_and_prove_it(
    kubernetes: Any, ray: None, example: Path, router: Any
) -> None:
    kubernetes.apply(*deployment(example, "apart", **APART))
    kubernetes.until(lambda: is_ready(kubernetes, "apart"), "readiness of both roles", READY_SECONDS)
    for number in range(6):
        text = f"Item {number}: gold, silver, copper and tin lie on the scales. " * 40
        assert await ask(router, "apart", text)
    kubernetes.until(
        lambda: kubernetes.condition("modeldeployment", "apart", "KVTransferHealthy").get("status") == "True",
        "the proof that blocks move",
    )
    roles = kubernetes.get("modeldeployment", "apart", "-n", "default")["status"]["roles"]
    assert {role["name"]: role["ready"] for role in roles} == {"decode": 1, "prefill": 1}


async def test_both_roles_roll_out_under_traffic_and_no_request_meets_two_revisions(
    kubernetes: Any, example: Path, router: Any
) -> None:
    """The deployment of the test before; its prompt changes while a client asks without pause."""
    first = stable(kubernetes)
    prompts = yaml.safe_load((example / "prompts.yaml").read_text())
    prompts["data"]["shorter.yaml"] = prompts["data"]["closed-book.yaml"].replace("a few words", "one word")
    documents = deployment(example, "apart", **APART)
    for document in documents:
        if document["kind"] == "ModelDeployment":
            document["spec"]["prompt"]["configMapKeyRef"]["key"] = "shorter.yaml"
    kubernetes.apply(prompts, *documents)
    answers: list[tuple[str, str]] = []
    asking = asyncio.create_task(ask_without_pause(router, answers))
    mixed: set[str] = set()
    async with asyncio.timeout(READY_SECONDS):
        while stable(kubernetes) == first or not is_ready(kubernetes, "apart"):
            mixed |= pods_of_two_revisions(kubernetes)
            await asyncio.wait((asking,), timeout=5)
            if asking.done():
                asking.result()  # a request failed: it is raised here
        count = len(answers)
        while len(answers) < count + 3:  # the new one answers too
            await asyncio.wait((asking,), timeout=1)
            if asking.done():
                asking.result()
    asking.cancel()
    second = stable(kubernetes)
    assert not mixed
    assert {before for before, after in answers if before != after} == set()
    assert {before for before, _ in answers} == {first, second}
    print(f"{len(answers)} answers while {second} took over from {first}, none failed, none met both")
    kubernetes.kubectl("delete", "modeldeployment", "apart", "-n", "default")


def stable(kubernetes: Any) -> str:
    return str(kubernetes.get("modeldeployment", "apart", "-n", "default")["status"]["stableRevision"])


async def ask_without_pause(router: Any, answers: list[tuple[str, str]]) -> None:
    """Note the revisions that each answer begins and ends with; a failure ends it, and fails the test."""
    for number in range(10_000):
        text = f"Piece {number}: gold, silver, copper and tin lie on the scales. " * 24
        request = pb.GenerateRequest(
            model="default/apart",
            messages=[pb.Message(role=pb.ROLE_USER, content=text)],
            sampling=pb.Sampling(max_output_tokens=8),
        )
        parts = [part async for part in router.Generate(request, timeout=120)]
        answers.append((parts[0].revision, parts[-1].revision))


def pods_of_two_revisions(kubernetes: Any) -> set[str]:
    """Name the pods whose engine has another revision's manifest than their label says, or another RayService's."""
    found = set()
    for pod in kubernetes.get("pods", "-n", "default", "-l", "touchstone.dev/name=apart")["items"]:
        revision = pod["metadata"]["labels"]["touchstone.dev/revision"]
        variables = pod["spec"]["containers"][0].get("env", ())
        manifests = {
            variable["valueFrom"]["configMapKeyRef"]["name"]
            for variable in variables
            if variable["name"] == "TOUCHSTONE_REVISION_MANIFEST"
        }
        cluster = pod["metadata"]["labels"].get("ray.io/cluster", revision)
        if manifests - {revision} or not cluster.startswith(revision):
            found.add(pod["metadata"]["name"])
    return found

"""The main job on a real cluster, and what may happen to it there. The tests build on one another, in this order."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
import yaml
from touchstone.inference.v1 import inference_service_pb2 as pb
from touchstone.inference.v1 import inference_service_pb2_grpc as pb_grpc
from touchstone_local import fields
from touchstone_local.demo import STEPS, Seen, walk
from touchstone_local.kube.cluster import Cluster
from touchstone_runtime import channels

pytestmark = [pytest.mark.timeout(1500), pytest.mark.asyncio(loop_scope="module")]

MODEL = "default/support-assistant"
ROOT = Path(__file__).parents[1]
OWN_CLUSTER = Path("/var/lib/touchstone-e2e")
CLIENT = Path(__file__).with_name("streaming_client.py")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def seen(kubernetes: Any, release: Any, example: Path) -> dict[str, Seen]:
    """The demo's steps, applied by kubectl."""
    async with await Cluster.connect(kubernetes.kubeconfig) as cluster:
        return {each.step.letter: each async for each in walk(cluster, example, kubernetes.kubeconfig, steps=STEPS)}


@pytest_asyncio.fixture(loop_scope="module")
async def router(kubernetes: Any, release: Any, caller: Path) -> AsyncIterator[Any]:
    """The router, as the product service reaches it."""
    address = kubernetes.service_address("touchstone-router", 50051)
    async with channels.connect(address, token_file=caller) as channel:
        yield pb_grpc.InferenceServiceStub(channel)


async def ask(router: Any, question: str = "What is a touchstone?", tokens: int = 16) -> list[Any]:
    request = pb.GenerateRequest(
        model=MODEL,
        messages=[pb.Message(role=pb.ROLE_USER, content=question)],
        sampling=pb.Sampling(max_output_tokens=tokens),
    )
    return [part async for part in router.Generate(request, timeout=60)]


async def until_answered(router: Any) -> None:
    """Ask until an answer comes: a kubelet that was started anew calls all pods unready for a moment."""
    async with asyncio.timeout(60):
        while True:
            try:
                await ask(router)
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.5)
            else:
                return


@contextmanager
def streaming(kubernetes: Any, caller: Path, folder: Path) -> Iterator[Path]:
    """A client in a process of its own that asks without pause; each answer is a line of the file."""
    file = folder / "answers.jsonl"
    address = kubernetes.service_address("touchstone-router", 50051)
    process = subprocess.Popen([sys.executable, str(CLIENT), address, MODEL, str(caller), str(file)])
    try:
        kubernetes.until(lambda: file.exists() and file.stat().st_size, "the first answer", 60)
        yield file
    finally:
        process.terminate()
        process.wait(timeout=90)


def failures(file: Path) -> tuple[int, list[Any]]:
    """Return how many requests a client made, and those that failed."""
    answers = [json.loads(line) for line in file.read_text().splitlines()]
    return len(answers), [answer for answer in answers if answer["error"]]


async def test_helm_test_finds_the_platform_well(release: Any) -> None:
    release.helm("test", "touchstone", "-n", "touchstone", "--timeout", "2m")


TRIALS = """
import asyncio
from touchstone_evaluation.adapters.trials import ProcessTrials
from touchstone_evaluation.core.task import Program

async def tried(body):
    program = f"def f():\\n  {body}\\n  return 42"
    asked = Program(program=program, tests=("assert f() == 42",), timeout_seconds=10, memory_bytes=256 << 20)
    return (await ProcessTrials().run(asked)).trial

for body in ("pass", "import socket; socket.socket()", "open('/proc/1/environ')", "import os; os.fork()"):
    print(asyncio.run(tried(body)).passed)
"""


async def test_programs_of_models_are_confined_in_a_restricted_pod(kubernetes: Any, release: Any) -> None:
    worker = "deployment/touchstone-evaluation-worker"
    told = kubernetes.kubectl("exec", "-n", "touchstone", worker, "--", "python", "-c", TRIALS)
    assert told.split() == ["True", "False", "False", "False"]


async def test_the_loop_ends_as_on_one_machine(seen: dict[str, Seen]) -> None:
    verdicts = {letter: fields.text(each.gate, "status", "verdict") for letter, each in seen.items()}
    assert verdicts == {"a": "Passed", "b": "Passed", "c": "Passed", "d": "Failed", "e": "Passed"}
    assert max(seen["c"].weights) > 0
    assert max(seen["d"].weights) == 0
    assert seen["d"].serving == seen["c"].serving == seen["e"].serving != seen["a"].serving
    assert seen["e"].is_reused


async def test_a_model_is_chosen_among_those_that_meet_the_requirements(
    kubernetes: Any, example: Path, seen: dict[str, Seen]
) -> None:
    gated = yaml.safe_load((example / "c-grounded.yaml").read_text())
    template = gated["spec"]["rollout"]["gates"][0]["evalRunTemplate"]
    template["spec"]["criteria"] = [each for each in template["spec"]["criteria"] if "relative" not in each]
    candidates = [
        {"name": name, "modelDeploymentRef": {"name": "support-assistant"}, "attributes": {"residency": residency}}
        for name, residency in (("ours", "here"), ("theirs", "elsewhere"))
    ]
    spec = {
        "candidates": candidates,
        "requirements": [{"attribute": "residency", "oneOf": ["here"]}],
        "evalRunTemplate": template,
        "objectives": [{"metric": "golden/contains", "maxRegression": "0.05"}, {"metric": "golden/output_tokens_mean"}],
    }
    kind = {"apiVersion": "touchstone.dev/v1alpha1", "kind": "ModelSelection"}
    kubernetes.apply({**kind, "metadata": {"name": "assistant", "namespace": "default"}, "spec": spec})
    selection = ("modelselection", "assistant")
    kubernetes.until(lambda: kubernetes.condition(*selection, "Succeeded").get("status") == "True", "a choice", 300)
    status = kubernetes.get(*selection, "-n", "default")["status"]
    assert (status["chosen"], status["chosenRevision"]) == ("ours", seen["e"].serving)
    (theirs,) = [each for each in status["candidates"] if each["name"] == "theirs"]
    assert theirs["message"] == "residency is elsewhere, and here is required."
    assert {artifact["name"] for artifact in status["artifacts"]} == {"report", "selection"}


async def test_an_answer_comes_with_citations(seen: dict[str, Seen], router: Any) -> None:
    parts = await ask(router, "In the Rankine cycle, what does water turn into when heated?")
    assert parts[-1].usage.output_tokens > 0
    assert any("Rankine" in citation.text for part in parts for citation in part.citations)


@pytest.mark.parametrize(
    ("token", "code"),
    [("", grpc.StatusCode.UNAUTHENTICATED), ("nonsense", grpc.StatusCode.UNAUTHENTICATED)],
)
async def test_a_caller_without_a_good_token_is_refused(
    kubernetes: Any, seen: dict[str, Seen], tmp_path: Path, token: str, code: grpc.StatusCode
) -> None:
    (tmp_path / "token").write_text(token)
    address = kubernetes.service_address("touchstone-router", 50051)
    async with channels.connect(address, token_file=tmp_path / "token") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ask(pb_grpc.InferenceServiceStub(channel))
    assert caught.value.code() is code


async def test_a_token_for_another_audience_or_without_rights_is_refused(
    kubernetes: Any, seen: dict[str, Seen], tmp_path: Path
) -> None:
    kubernetes.kubectl("create", "serviceaccount", "stranger", "-n", "default", code=None)
    address = kubernetes.service_address("touchstone-router", 50051)
    other_audience = kubernetes.kubectl("create", "token", "app", "-n", "default").strip()
    wanted = {
        other_audience: grpc.StatusCode.UNAUTHENTICATED,
        kubernetes.token("stranger"): grpc.StatusCode.PERMISSION_DENIED,
    }
    for token, code in wanted.items():
        (tmp_path / "token").write_text(token)
        async with channels.connect(address, token_file=tmp_path / "token") as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await ask(pb_grpc.InferenceServiceStub(channel))
        assert caught.value.code() is code


PROBE = """
import json, socket, sys, time

deadline = time.monotonic() + 15  # policies reach a new pod a little after it has begun
reached = set()
while time.monotonic() < deadline:
    for address in set(sys.argv[1:]) - reached:
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            reached.add(address)
        except OSError:
            time.sleep(0.2)
print(json.dumps(sorted(reached)))
"""


def reached_from(kubernetes: Any, release: Any, namespace: str, addresses: list[str]) -> list[str]:
    """Have a pod of a namespace open connections, and return which addresses it reached."""
    image = f"{release.images}/touchstone-router:{release.tags['router']}"
    pod = ("pod", "probe", "-n", namespace)
    command = ("python", "-c", PROBE, *addresses)
    kubernetes.kubectl(
        "run", "probe", "-n", namespace, f"--image={image}", "--restart=Never", "--command", "--", *command
    )
    try:
        kubernetes.kubectl("wait", *pod, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=90s")
        found: list[str] = json.loads(kubernetes.kubectl("logs", "probe", "-n", namespace))
        return found
    finally:
        kubernetes.kubectl("delete", *pod, "--grace-period=0", "--force")


def pod_address(kubernetes: Any, component: str, port: int) -> str:
    """Return where a pod of the release listens: most of its Services have no address of their own."""
    pods = kubernetes.get("pods", "-n", "touchstone", "-l", f"app.kubernetes.io/component={component}")["items"]
    return next(f"{pod['status']['podIP']}:{port}" for pod in pods if "deletionTimestamp" not in pod["metadata"])


@pytest.mark.skipif(not OWN_CLUSTER.exists(), reason="needs a cluster that is known to enforce NetworkPolicies")
async def test_a_pod_of_another_namespace_reaches_the_router_and_nothing_behind_it(
    kubernetes: Any, release: Any, seen: dict[str, Seen]
) -> None:
    kubernetes.kubectl("create", "namespace", "strangers", code=None)
    pods = kubernetes.get("pods", "-n", "default", "-l", "touchstone.dev/role=engine")["items"]
    staying = (pod for pod in pods if "deletionTimestamp" not in pod["metadata"])
    engine = next(f"{pod['status']['podIP']}:50051" for pod in staying)
    router = kubernetes.service_address("touchstone-router", 50051)
    ports = {"postgresql": 5432, "valkey": 6379}
    ports |= dict.fromkeys(("evaluation", "retrieval", "data", "finetuning"), 50051)
    behind = [pod_address(kubernetes, component, port) for component, port in ports.items()]
    assert reached_from(kubernetes, release, "strangers", [router, engine, *behind]) == [router]
    deployment = ("modeldeployment", "support-assistant", "-n", "default")
    access = {"access": {"allowedNamespaces": ["strangers"]}}
    kubernetes.kubectl("patch", *deployment, "--type=merge", "-p", json.dumps({"spec": access}))
    assert reached_from(kubernetes, release, "strangers", [engine]) == [engine]
    kubernetes.kubectl("patch", *deployment, "--type=merge", "-p", json.dumps({"spec": {"access": None}}))
    kubernetes.kubectl("delete", "namespace", "strangers", "--wait=false")


def with_a_new_field(folder: Path) -> Path:
    """Write the chart of the kinds as its next version might be: a ModelDeployment may carry a note."""
    shutil.copytree(ROOT / "charts/touchstone-crds", folder)
    path = folder / "templates/modeldeployments.yaml"
    definition = yaml.safe_load(path.read_text())
    version = definition["spec"]["versions"][0]
    fields = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    fields["note"] = {"type": "string", "maxLength": 64}
    path.write_text(yaml.safe_dump(definition, sort_keys=False))
    return folder


async def test_an_upgrade_and_a_rollback_fail_no_request(
    kubernetes: Any, release: Any, caller: Path, seen: dict[str, Seen], tmp_path: Path
) -> None:
    with streaming(kubernetes, caller, tmp_path) as file:
        # Kinds with a new optional field, another value, and new pods of everything: what a new image does.
        await asyncio.to_thread(
            release.install,
            "router.maxConcurrentRequests=128",
            "router.podAnnotations.upgrade=one",
            "operator.podAnnotations.upgrade=one",
            kinds=with_a_new_field(tmp_path / "kinds"),
        )
        noted = {"spec": {"note": "known to the new kinds"}}
        deployment = ("modeldeployment", "support-assistant", "-n", "default")
        kubernetes.kubectl("patch", *deployment, "--type=merge", "-p", json.dumps(noted), "--dry-run=server")
        upgraded = failures(file)[0]
        await asyncio.to_thread(release.helm, "rollback", "touchstone", "-n", "touchstone", "--wait", "--timeout", "5m")
    count, failed = failures(file)
    assert upgraded > 10
    assert count > upgraded + 10
    assert failed == []


async def test_a_router_that_is_rolled_under_load_fails_no_request(
    kubernetes: Any, caller: Path, seen: dict[str, Seen], tmp_path: Path
) -> None:
    with streaming(kubernetes, caller, tmp_path) as file:
        kubernetes.kubectl("rollout", "restart", "deployment/touchstone-router", "-n", "touchstone")
        kubernetes.kubectl("rollout", "status", "deployment/touchstone-router", "-n", "touchstone", "--timeout=240s")
    count, failed = failures(file)
    assert count > 10
    assert failed == []


@pytest.mark.skipif(not OWN_CLUSTER.exists(), reason="needs the node of `make cluster`")
async def test_a_kubelet_that_dies_stops_no_traffic(
    kubernetes: Any, caller: Path, seen: dict[str, Seen], tmp_path: Path
) -> None:
    with streaming(kubernetes, caller, tmp_path) as file:
        pid = json.loads((OWN_CLUSTER / "processes/kubelet.json").read_text())["pid"]
        os.kill(pid, signal.SIGKILL)
        before = failures(file)[0]
        kubernetes.until(lambda: failures(file)[0] > before + 5, "answers without a kubelet")
        await asyncio.to_thread(subprocess.run, [sys.executable, str(ROOT / "e2e/cluster"), "up"], check=True)
        kubernetes.kubectl("wait", "node", "--all", "--for=condition=Ready", "--timeout=120s")
    assert failures(file)[1] == []


async def test_an_engine_that_dies_mid_answer_is_told_clearly_and_the_next_answer_comes(
    kubernetes: Any, seen: dict[str, Seen], router: Any
) -> None:
    pods = ["pods", "-n", "default", "-l", "touchstone.dev/role=engine"]
    request = pb.GenerateRequest(
        model=MODEL,
        messages=[pb.Message(role=pb.ROLE_USER, content="Tell a long story of gold and base metal.")],
        sampling=pb.Sampling(max_output_tokens=600),
        # The grammar keeps it talking.
        json_schema=json.dumps({"type": "array", "items": {"type": "integer"}, "minItems": 200}),
    )

    await until_answered(router)

    async def listen() -> None:
        async for part in router.Generate(request, timeout=60):
            if part.text:
                kubernetes.kubectl("delete", *pods, "--grace-period=0", "--force")

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await listen()
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert channels.translate(caught.value, "router").reason == "ANSWER_BROKE", caught.value.details()
    kubernetes.until(
        lambda: kubernetes.condition("modeldeployment", "support-assistant", "Ready").get("status") == "True",
        "readiness after the loss of an engine",
    )
    kubernetes.kubectl("wait", *pods, "--for=condition=Ready", "--timeout=120s")
    assert (await ask(router))[-1].usage.output_tokens > 0


def changed_prompt(kubernetes: Any, text: str) -> None:
    """Change a word of the prompt that serves: a new revision with gates of its own."""
    prompts = kubernetes.get("configmap", "support-prompts", "-n", "default")
    prompts["data"]["grounded.yaml"] = prompts["data"]["grounded.yaml"].replace("Answer in a few words.", text)
    metadata = {"name": "support-prompts"}
    kubernetes.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": prompts["data"]})


def is_decided(kubernetes: Any, former: str) -> bool:
    """Whether the newest candidate was promoted or refused."""
    status = kubernetes.get("modeldeployment", "support-assistant", "-n", "default")["status"]
    conditions = {each["type"]: each for each in status["conditions"]}
    is_stalled = conditions.get("Stalled", {}).get("status") == "True"
    is_at_rest = "Reconciling" not in conditions and not status.get("candidateRevision")
    return is_stalled or (is_at_rest and status["stableRevision"] != former)


async def test_a_rollout_survives_the_loss_of_operators_workers_and_broker(
    kubernetes: Any, seen: dict[str, Seen], router: Any
) -> None:
    former = kubernetes.get("modeldeployment", "support-assistant", "-n", "default")["status"]["stableRevision"]
    runs = len(kubernetes.get("evalruns", "-n", "default")["items"])
    changed_prompt(kubernetes, "Answer in very few words.")
    kubernetes.until(lambda: len(kubernetes.get("evalruns", "-n", "default")["items"]) > runs, "a new EvalRun")
    for component in ("operator", "evaluation-worker", "valkey"):
        kubernetes.kubectl(
            "delete", "pods", "-n", "touchstone", "-l", f"app.kubernetes.io/component={component}", "--grace-period=0",
            "--force",
        )  # fmt: skip
        assert (await ask(router))[-1].usage.output_tokens > 0, f"the loss of {component} stops no traffic"
    kubernetes.until(lambda: is_decided(kubernetes, former), "a decision", 300)
    newest = sorted(
        kubernetes.get("evalruns", "-n", "default")["items"], key=lambda run: run["metadata"]["creationTimestamp"]
    )[-1]
    assert newest["status"]["verdict"] in ("Passed", "Failed", "Inconclusive")
    assert newest["status"]["progress"]["itemsDone"] == newest["status"]["progress"]["itemsTotal"]


async def test_a_quota_that_is_too_small_is_told_by_a_condition(kubernetes: Any, release: Any, example: Path) -> None:
    kubernetes.kubectl("create", "namespace", "small", code=None)
    kubernetes.apply(
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}},
        namespace="small",
    )
    for file in ("prompts.yaml", "a-model.yaml"):
        kubernetes.kubectl("apply", "-n", "small", "-f", str(example / file))
    kubernetes.until(
        lambda: "exceeded quota" in json.dumps(kubernetes.get("modeldeployment", "support-assistant", "-n", "small")),
        "a condition about the quota",
    )
    kubernetes.kubectl("delete", "namespace", "small", "--wait=false")

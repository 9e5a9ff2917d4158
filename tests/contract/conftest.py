"""The contract: what Touchstone needs of a Kubernetes API server, asked of a real process through real clients.

By default the embedded API server is started. TOUCHSTONE_CONTRACT_KUBECONFIG names another cluster to ask instead, and
TOUCHSTONE_CONTRACT_CONTROLLERS=true says that kube-controller-manager runs there (garbage collection, namespaces).
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import load_kube_config

WIDGETS_FILE = Path(__file__).with_name("widgets.yaml")
WIDGET_PATH = "/apis/contract.touchstone.dev/v1"
MERGE, JSON_PATCH = "application/merge-patch+json", "application/json-patch+json"
STRATEGIC, APPLY = "application/strategic-merge-patch+json", "application/apply-patch+yaml"
IS_EMBEDDED = not os.environ.get("TOUCHSTONE_CONTRACT_KUBECONFIG")
DEADLINE_SECONDS = 15.0 if IS_EMBEDDED else 75.0
"""A real garbage collector looks for new kinds every thirty seconds."""


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    body: Any
    warnings: list[str]


class Api:
    """Requests through the official client's own transport."""

    def __init__(self, client: ApiClient, namespace: str) -> None:
        self.client = client
        self.namespace = namespace

    def path(self, plural: str = "widgets", name: str = "", sub: str = "") -> str:
        """The path of something in the test's namespace."""
        roots = {"widgets": WIDGET_PATH, "deployments": "/apis/apps/v1", "jobs": "/apis/batch/v1"}
        parts = [roots.get(plural, "/api/v1"), "namespaces", self.namespace, plural, name, sub]
        return "/".join(part for part in parts if part)

    async def ask(
        self, method: str, path: str, body: object = None, *, content_type: str = "application/json",
        accept: str = "application/json", **query: str,
    ) -> Answer:  # fmt: skip
        """Send one request and return the answer, whatever its status."""
        serialised = await self.client.param_serialize(
            method, path, query_params=list(query.items()), body=body, auth_settings=["BearerToken"],
            header_params={"Accept": accept, "Content-Type": content_type, "User-Agent": "contract/1"},
        )  # fmt: skip
        raw = await self.client.call_api(*serialised)
        content = await raw.response.read()
        is_json = raw.response.content_type == "application/json"
        body = json.loads(content) if is_json else content.decode()
        return Answer(raw.response.status, body, raw.response.headers.getall("Warning", []))

    async def ok(self, method: str, path: str, body: object = None, **options: str) -> Any:
        """Send a request that must succeed and return the body."""
        answer = await self.ask(method, path, body, **options)
        assert answer.status < 400, answer.body
        return answer.body

    async def refused(self, code: int, reason: str, method: str, path: str, body: object = None, **options: str) -> Any:
        """Send a request that must be refused and return the Status."""
        answer = await self.ask(method, path, body, **options)
        status = answer.body
        assert (answer.status, status.get("reason", ""), status["kind"]) == (code, reason, "Status"), status
        return status

    async def widget(self, name: str = "one", *, metadata: dict[str, Any] | None = None, **spec: Any) -> Any:
        """Create a widget."""
        return await self.ok("POST", self.path(), widget(name, metadata=metadata, **spec))

    async def watch(self, path: str, *, until: Callable[[list[Any]], bool], **query: str) -> list[Any]:
        """Collect the events of a watch until they suffice."""
        pairs = list({"watch": "true", "timeoutSeconds": "20", **query}.items())
        serialised = await self.client.param_serialize(
            "GET", path, query_params=pairs, auth_settings=["BearerToken"], header_params={"Accept": "application/json"}
        )
        raw = await self.client.call_api(*serialised)
        events: list[Any] = []
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                async for line in raw.response.content:
                    events.append(json.loads(line))
                    if until(events):
                        break
        finally:
            raw.response.close()
        return events


def widget(name: str = "one", *, metadata: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """A widget as a client writes it."""
    return {
        "apiVersion": "contract.touchstone.dev/v1",
        "kind": "Widget",
        "metadata": {"name": name, **(metadata or {})},
        "spec": {"size": "small", **spec},
    }


@pytest.fixture(name="widget", scope="session")
def widget_builder() -> Callable[..., dict[str, Any]]:
    return widget


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The kubeconfig of the cluster that is asked."""
    external = os.environ.get("TOUCHSTONE_CONTRACT_KUBECONFIG")
    if external:
        yield Path(external)
        return
    folder = tmp_path_factory.mktemp("apiserver")
    kubeconfig = folder / "kubeconfig"
    environ = {
        **os.environ,
        "TOUCHSTONE_LISTEN": "127.0.0.1:0",
        "TOUCHSTONE_STATE_DIR": str(folder / "state"),
        "TOUCHSTONE_KUBECONFIG": str(kubeconfig),
    }
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([sys.executable, "-m", "touchstone_local.apiserver"], env=environ, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while not kubeconfig.exists():
            assert server.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, "the API server did not start"
            time.sleep(0.05)
        yield kubeconfig
        server.terminate()
        assert server.wait(timeout=15) == 0, (folder / "log").read_text()
    finally:
        server.kill()
        server.wait()


@pytest.fixture(scope="session")
def has_controllers() -> bool:
    """Whether garbage is collected and namespaces are emptied there."""
    return IS_EMBEDDED or os.environ.get("TOUCHSTONE_CONTRACT_CONTROLLERS") == "true"


@pytest.fixture
def controllers(has_controllers: bool) -> None:
    """For tests of what a bare kube-apiserver does not do itself."""
    if not has_controllers:
        pytest.skip("needs kube-controller-manager: set TOUCHSTONE_CONTRACT_CONTROLLERS=true")


@pytest.fixture
async def client(cluster: Path) -> AsyncIterator[ApiClient]:
    configuration = Configuration()
    await load_kube_config(config_file=str(cluster), client_configuration=configuration, persist_config=False)
    async with ApiClient(configuration=configuration) as opened:
        yield opened


@pytest.fixture
async def api(client: ApiClient) -> AsyncIterator[Api]:
    """A fresh namespace, in a cluster that has widgets."""
    namespace = f"contract-{uuid.uuid4().hex[:8]}"
    opened = Api(client, namespace)
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    created = await opened.ask("POST", crds, yaml.safe_load(WIDGETS_FILE.read_text()))
    assert created.status in (201, 409), created.body
    await opened.ok("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})

    async def serves_widgets() -> bool:
        return (await opened.ask("GET", opened.path())).status == 200

    await eventually(serves_widgets)
    await opened.ask("POST", opened.path("serviceaccounts"), {"metadata": {"name": "default"}})
    yield opened
    await opened.ask("DELETE", f"/api/v1/namespaces/{namespace}")


async def eventually(check: Callable[[], Awaitable[object]]) -> None:
    """Wait until a check holds."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not await check():
            await asyncio.sleep(0.05)


@pytest.fixture(name="eventually", scope="session")
def eventually_fixture() -> Callable[[Callable[[], Awaitable[object]]], Awaitable[None]]:
    return eventually


Kubectl = Callable[..., str]


@pytest.fixture
def kubectl(cluster: Path, api: Api, tmp_path: Path) -> Kubectl:
    """The real kubectl in the test's namespace."""
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("kubectl is not on PATH")
    environ = {**os.environ, "KUBECONFIG": str(cluster), "HOME": str(tmp_path)}

    def run(*arguments: str, stdin: str = "", code: int = 0) -> str:
        done = subprocess.run(
            [program, "--namespace", api.namespace, *arguments],
            env=environ, input=stdin, text=True, capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run

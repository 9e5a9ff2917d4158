"""The commands on a running API server, kubelet and collector."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from touchstone_local import fields, processes
from touchstone_local.cli import app
from touchstone_local.health import tcp_passes
from touchstone_local.layout import StateFolder
from touchstone_local.supervisor.adapters import locks
from touchstone_local.supervisor.adapters.board import FileBoard
from touchstone_local.supervisor.adapters.processes import PodProcesses
from touchstone_local.supervisor.core import plan
from touchstone_local.supervisor.core.addresses import Addresses, split
from touchstone_local.supervisor.core.state import Phase, PlatformState, ProcessPhase, ProcessState

WAIT_SECONDS = 60.0


def until(claim: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + WAIT_SECONDS
    while not claim():
        assert time.monotonic() < give_up_at
        time.sleep(0.05)


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A platform without the parts that serve models, told of in platform.json as a supervisor would."""
    folder = StateFolder(tmp_path_factory.mktemp("state"))
    for each in folder.folders():
        each.mkdir(exist_ok=True)
    with locks.subnet("", is_ours=False) as subnet:
        addresses = Addresses(subnet)
        options = plan.Options(
            folder=folder, addresses=addresses, python=sys.executable, base_environ=dict(os.environ), valkey="",
            broker_url="",
        )  # fmt: skip
        specs = {spec.name: spec for spec in plan.processes(options)}
        running: dict[str, processes.Identity] = {}

        def start(name: str) -> None:
            running[name] = processes.start(
                specs[name].command, environ=specs[name].environ, folder=folder.root, log=folder.log(name)
            )

        start("collector")
        start("apiserver")
        until(folder.kubeconfig.exists)
        start("kubelet")
        start("crds")
        me = processes.identify(os.getpid())
        FileBoard(folder.platform).show(
            PlatformState(
                phase=Phase.READY, subnet=subnet, kubeconfig=str(folder.kubeconfig), is_embedded=True,
                supervisor_pid=me.pid, supervisor_create_time=me.create_time, started_at="2026-11-25T12:00:00Z",
                processes=tuple(
                    ProcessState(name=name, phase=ProcessPhase.READY, pid=each.pid, create_time=each.create_time)
                    for name, each in running.items()
                ),
            )
        )  # fmt: skip
        until(lambda: processes.exit_code(running["crds"]) == 0)
        until(lambda: asyncio.run(tcp_passes(*split(addresses.traces))))
        yield folder.root
        asyncio.run(processes.stop(running.values(), grace_seconds=5))
        asyncio.run(PodProcesses(folder).stop(grace_seconds=5))


class Terminal:
    """Runs commands and reads what they say."""

    def __init__(self, state_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.state_dir = state_dir
        self.capsys = capsys

    def run(self, *arguments: str, code: int = 0) -> str:
        self.capsys.readouterr()
        actual = app.run(["--state-dir", str(self.state_dir), *arguments])
        said = self.capsys.readouterr()
        assert actual == code, said.out + said.err
        assert "Traceback" not in said.err
        return said.out + said.err


@pytest.fixture
def terminal(state_dir: Path, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(state_dir, capsys)


MANIFEST = """
apiVersion: v1
kind: ConfigMap
metadata: {name: prompts}
data: {system.txt: hello}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: sleeper}
spec:
  selector: {matchLabels: {app: sleeper}}
  template:
    metadata: {labels: {app: sleeper}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: main, image: none, command: [python, -c, "import time; print('awake'); time.sleep(600)"]}
"""


def test_a_file_is_applied_shown_waited_for_and_deleted(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(MANIFEST)
    assert terminal.run("apply", "-f", str(file)).splitlines() == [
        "configmap/prompts created",
        "deployment.apps/sleeper created",
    ]
    assert "configmap/prompts unchanged" in terminal.run("apply", "-f", str(file))
    file.write_text(MANIFEST.replace("hello", "good day"))
    assert "configmap/prompts configured" in terminal.run("apply", "-f", str(file))

    terminal.run("wait", "deployment/sleeper", "--for", "condition=Available", "--timeout", "60")
    table = terminal.run("get", "deployments,pods")
    assert "deployment.apps/sleeper" in table
    assert "pod/sleeper-" in table
    assert "1/1" in table
    until(lambda: "awake" in terminal.run("logs", "pod/sleeper"))
    status = terminal.run("status")
    assert "kubelet" in status
    assert "pod/sleeper-" in status
    assert "Memory of all processes" in status

    shown = yaml.safe_load(terminal.run("get", "cm", "prompts", "-o", "yaml"))
    assert shown["data"] == {"system.txt": "good day"}
    listed = json.loads(terminal.run("get", "configmaps", "-o", "json"))
    assert "prompts" in [fields.name(each) for each in listed["items"]]

    terminal.run("delete", "deployment", "sleeper")
    until(lambda: "No pods found" in terminal.run("get", "pods"))
    assert "holds" in terminal.run("wait", "deployment/sleeper", "--for", "delete", "--timeout", "10")


def test_a_refused_object_names_its_faults_and_the_fix(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(
        "apiVersion: touchstone.dev/v1alpha1\nkind: ModelDeployment\nmetadata: {name: chat}\n"
        "spec: {model: {uri: 'ftp://nowhere'}, engine: {type: LlamaCpp}}\n"
    )
    said = terminal.run("apply", "-f", str(file), code=2)
    assert "spec.model" in said
    assert "pypi://" in said


def test_what_does_not_exist_is_said_in_a_sentence(terminal: Terminal) -> None:
    assert "not found" in terminal.run("get", "mdep", "absent", code=1)
    assert "podz" in terminal.run("get", "podz", code=1)
    assert "No touchstone found" in terminal.run("get", "touchstone")
    assert "did not hold within" in terminal.run(
        "wait", "mdep/absent", "--for", "condition=Ready", "--timeout", "0.3", code=1
    )


def test_without_a_trace_one_is_told_how_to_make_one(terminal: Terminal) -> None:
    assert "Ask a model" in terminal.run("trace", "--last", code=1)
    assert "no trace 'feed'" in terminal.run("trace", "feed", code=1)
    assert terminal.run("trace") == ""


def test_a_service_that_is_down_is_named(terminal: Terminal) -> None:
    for command in (("search", "docs", "what"), ("chat", "chat", "hello")):
        said = terminal.run(*command, code=1)
        assert "Error" in said

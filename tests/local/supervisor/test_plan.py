"""Which processes a platform has, and what each is told."""

from pathlib import Path

from touchstone_local.layout import StateFolder
from touchstone_local.supervisor.core import addresses, plan, state
from touchstone_local.supervisor.core.addresses import Addresses
from touchstone_local.supervisor.core.plan import Check, Wave

FOLDER = StateFolder(Path("/state"))


def options(**changes: object) -> plan.Options:
    settings: dict[str, object] = {
        "folder": FOLDER,
        "addresses": Addresses("127.88.7"),
        "python": "/venv/python",
        "base_environ": {"PATH": "/bin"},
        "valkey": "/wheel/valkey-server",
        "broker_url": "redis://:secret@127.88.7.50:6379/0",
    }
    return plan.Options(**(settings | changes))


def environ(name: str, **changes: object) -> dict[str, str]:
    return next(dict(spec.environ) for spec in plan.processes(options(**changes)) if spec.name == name)


def test_every_process_comes_after_those_it_needs() -> None:
    for changes in ({}, {"external_kubeconfig": Path("/other")}):
        seen: set[str] = set()
        for spec in plan.processes(options(**changes)):
            assert set(spec.after) <= seen
            seen.add(spec.name)


def test_the_operator_knows_its_peers() -> None:
    told = environ("operator")
    assert told["TOUCHSTONE_RETRIEVAL_ADDRESS"] == "127.88.7.30:50051"
    assert told["TOUCHSTONE_EVALUATION_ADDRESS"] == "127.88.7.20:50051"
    assert told["TOUCHSTONE_INFERENCE_ADDRESS"] == "127.88.7.10:50051"
    assert told["TOUCHSTONE_ARTEFACTS_URI"] == "file:///state/artefacts"
    assert told["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.88.7.40:4317"
    assert told["KUBECONFIG"] == "/state/kubeconfig"


def test_engines_get_threads_that_do_not_spin() -> None:
    told = environ("kubelet")
    assert (told["OMP_WAIT_POLICY"], told["GOMP_SPINCOUNT"], told["OMP_NUM_THREADS"]) == ("passive", "0", "1")


def test_the_collector_sends_its_own_telemetry_nowhere() -> None:
    assert environ("collector")["OTEL_EXPORTER_OTLP_ENDPOINT"] == ""


def test_a_cluster_of_ones_own_replaces_api_server_and_kubelet() -> None:
    names = {spec.name for spec in plan.processes(options(external_kubeconfig=Path("/other")))}
    assert not names & {"apiserver", "kubelet"}
    assert environ("router", external_kubeconfig=Path("/other"))["KUBECONFIG"] == "/other"


def test_what_starts_things_again_is_stopped_first() -> None:
    waves = {spec.name: spec.wave for spec in plan.processes(options())}
    assert waves["operator"] is waves["kubelet"] is Wave.CONTROL
    assert waves["apiserver"] is waves["valkey"] is waves["collector"] is Wave.GROUND


def test_nobody_listens_twice_and_all_within_the_subnet() -> None:
    found = Addresses("127.88.7").all()
    assert len(set(found)) == len(found)
    assert all(addresses.split(each)[0].startswith("127.88.7.") for each in found)


def test_the_password_is_not_in_a_command_nor_in_a_representation() -> None:
    for spec in plan.processes(options()):
        assert "secret" not in " ".join(spec.command)
        assert "secret" not in repr(spec)


def test_a_fingerprint_changes_with_what_we_say_but_not_with_the_shell() -> None:
    fingerprint = plan.processes(options())[1].fingerprint
    assert plan.processes(options(base_environ={"PATH": "/usr/bin", "OLDPWD": "/x"}))[1].fingerprint == fingerprint
    assert plan.processes(options(addresses=Addresses("127.88.8")))[1].fingerprint != fingerprint


def test_a_state_reads_back_as_it_was_written() -> None:
    process = state.ProcessState(name="router", phase=state.ProcessPhase.READY, pid=3, create_time=1.5, restarts=2)
    written = state.PlatformState(
        phase=state.Phase.READY, subnet="127.88.7", kubeconfig="/k", is_embedded=True, supervisor_pid=1,
        supervisor_create_time=2.5, started_at="2026-11-25T12:00:00Z", processes=(process,), message="m",
    )  # fmt: skip
    assert state.from_json(state.to_json(written)) == written
    assert [spec.check for spec in plan.processes(options()) if spec.name == "crds"] == [Check.EXIT]

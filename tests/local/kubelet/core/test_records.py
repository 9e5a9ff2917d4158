"""Records, restarts, probes and addresses."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from touchstone_local.errors import NoFreeAddress
from touchstone_local.kubelet.core import addresses, probing, records, restarting
from touchstone_local.kubelet.core.probing import Method, Probe, Purpose
from touchstone_local.kubelet.core.records import ContainerRecord, Ended, PodRecord, Run

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
times = st.datetimes(timezones=st.just(UTC))
runs = st.builds(Run, pid=st.integers(1, 99999), create_time=st.floats(0, 2e9), started_at=times)
ends = st.builds(
    Ended, exit_code=st.integers(0, 255), reason=st.text(), started_at=times, finished_at=times, message=st.text()
)
containers = st.builds(
    ContainerRecord,
    name=st.text(min_size=1),
    run=st.none() | runs,
    ended=st.none() | ends,
    starts=st.integers(0, 99),
    failures=st.integers(0, 99),
    retry_at=st.none() | times,
    waiting_reason=st.text(),
    waiting_message=st.text(),
    is_done=st.booleans(),
)
pods = st.builds(
    PodRecord,
    uid=st.text(),
    namespace=st.text(),
    name=st.text(),
    ip=st.text(),
    started_at=times,
    containers=st.lists(containers, max_size=3).map(tuple),
)


@given(pods)
def test_a_record_reads_back_as_it_was_written(record: PodRecord) -> None:
    assert records.from_json(records.to_json(record)) == record


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"uid": 1}'])
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        records.from_json(text)


def test_the_pause_between_restarts_doubles_up_to_ten_seconds() -> None:
    assert [restarting.delay_seconds(count) for count in range(7)] == [0, 1, 2, 4, 8, 10, 10]


def test_a_container_that_ran_well_starts_again_quickly() -> None:
    assert restarting.failures_after(6, ran_seconds=59) == 7
    assert restarting.failures_after(6, ran_seconds=60) == 1


@pytest.mark.parametrize(
    ("policy", "exit_code", "again"),
    [("Always", 0, True), ("Always", 1, True), ("OnFailure", 0, False), ("OnFailure", 1, True), ("Never", 1, False)],
)
def test_the_restart_policy_decides(policy: str, exit_code: int, again: bool) -> None:
    assert restarting.should_restart(policy, exit_code=exit_code) is again


def results(purpose: Purpose, probe: Probe, *outcomes: bool) -> probing.Track:
    track = probing.begin(probe, purpose, started_at=NOW)
    for outcome in outcomes:
        track = probing.observe(track, probe, purpose, passed=outcome, now=NOW)
    return track


def test_a_container_is_ready_after_its_successes_and_unready_after_its_failures() -> None:
    probe = Probe(method=Method.GRPC, success_threshold=2, failure_threshold=3)
    assert not results(Purpose.READINESS, probe, True).passes
    assert results(Purpose.READINESS, probe, True, True).passes
    assert results(Purpose.READINESS, probe, True, True, False, False).passes
    assert not results(Purpose.READINESS, probe, True, True, False, False, False).passes


def test_a_container_is_given_up_when_it_never_starts_or_no_longer_lives() -> None:
    probe = Probe(method=Method.GRPC, failure_threshold=2)
    for purpose in (Purpose.STARTUP, Purpose.LIVENESS):
        assert not probing.has_given_up(results(purpose, probe, False), probe, purpose)
        assert probing.has_given_up(results(purpose, probe, False, False), probe, purpose)
    assert not probing.has_given_up(results(Purpose.READINESS, probe, False, False), probe, Purpose.READINESS)


def test_a_container_that_is_not_ready_is_asked_often() -> None:
    probe = Probe(method=Method.TCP, period_seconds=10)
    assert results(Purpose.READINESS, probe, False).due_at == NOW + timedelta(seconds=0.5)
    assert results(Purpose.READINESS, probe, True).due_at == NOW + timedelta(seconds=10)


def test_a_named_port_is_looked_up() -> None:
    container = {"ports": [{"name": "grpc", "containerPort": 50051}], "readinessProbe": {"tcpSocket": {"port": "grpc"}}}
    probe = probing.parse(container, Purpose.READINESS)
    assert probe is not None
    assert probe.port == 50051


def test_an_address_that_was_just_freed_rests() -> None:
    assert addresses.choose("127.88.4", taken=set()) == "127.88.4.100"
    assert addresses.choose("127.88.4", taken=set(), last="127.88.4.100") == "127.88.4.101"
    assert addresses.choose("127.88.4", taken={"127.88.4.100"}, last="127.88.4.254") == "127.88.4.101"


def test_no_address_is_given_twice() -> None:
    taken = {f"127.88.4.{number}" for number in range(100, 255)}
    with pytest.raises(NoFreeAddress, match="Delete Pods"):
        addresses.choose("127.88.4", taken=taken)

"""One Pod, from its first process to its last."""

from typing import Any

from touchstone_local import fields
from touchstone_local.fields import Object


def pod(**container: object) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "chat", "namespace": "default"},
        "spec": {"containers": [{"name": "main", "command": ["python"], **container}]},
    }


def is_ready(obj: Object) -> bool:
    return fields.text(fields.condition(obj, "Ready"), "status") == "True"


def container_status(obj: Object) -> Object:
    return fields.items(obj, "status", "containerStatuses")[0]


async def test_a_pod_runs_and_says_so(world) -> None:
    keeper = world.keeper(world.cluster.add(pod()))
    seen = await world.step(keeper)
    assert seen["status"]["phase"] == "Running"
    assert seen["status"]["podIP"] == "127.88.9.100"
    assert is_ready(seen)
    assert world.processes.launches[0].command == ("/venv/python",)


async def test_a_settled_pod_is_not_written_again(world) -> None:
    keeper = world.keeper(world.cluster.add(pod()))
    await world.step(keeper)
    writes = world.cluster.writes
    for _ in range(5):
        await world.step(keeper, seconds=30)
    assert world.cluster.writes == writes


async def test_readiness_follows_the_probe(world) -> None:
    world.prober.well = False
    keeper = world.keeper(world.cluster.add(pod(readinessProbe={"grpc": {"port": 1}, "failureThreshold": 2})))
    assert not is_ready(await world.step(keeper))
    world.prober.well = True
    assert is_ready(await world.step(keeper, seconds=1))
    world.prober.well = False
    assert is_ready(await world.step(keeper, seconds=10))
    assert not is_ready(await world.step(keeper, seconds=10))


async def test_a_container_that_no_longer_lives_is_started_again(world) -> None:
    keeper = world.keeper(world.cluster.add(pod(livenessProbe={"tcpSocket": {"port": 1}, "failureThreshold": 1})))
    await world.step(keeper)
    world.prober.well = False
    for _ in range(3):
        seen = await world.step(keeper, seconds=10)
    assert len(world.processes.asked) >= 1
    assert container_status(seen)["restartCount"] >= 1


async def test_a_container_that_keeps_failing_waits_longer_each_time(world) -> None:
    keeper = world.keeper(world.cluster.add(pod()))
    await world.step(keeper)
    pauses = []
    for _ in range(5):
        world.processes.end("main", 1)
        seen = await world.step(keeper)
        assert container_status(seen)["state"]["waiting"]["reason"] == "CrashLoopBackOff"
        pause = 0
        while not world.processes.running:
            pause += 1
            seen = await world.step(keeper, seconds=1)
        pauses.append(pause)
        assert container_status(seen)["lastState"]["terminated"]["exitCode"] == 1
    assert pauses == [1, 2, 4, 8, 10]
    assert container_status(seen)["restartCount"] == 5


async def test_a_pod_that_is_not_to_restart_ends_with_its_process(world) -> None:
    for code, phase in ((0, "Succeeded"), (3, "Failed")):
        world.cluster.objects.clear()
        keeper = world.keeper(world.cluster.add({**pod(), "spec": {**pod()["spec"], "restartPolicy": "Never"}}))
        await world.step(keeper)
        world.processes.end("main", code)
        seen = await world.step(keeper, seconds=60)
        assert seen["status"]["phase"] == phase
        assert container_status(seen)["state"]["terminated"]["exitCode"] == code
        assert not world.processes.running


async def test_a_missing_config_map_is_waited_for(world) -> None:
    reference = {"name": "M", "valueFrom": {"configMapKeyRef": {"name": "late", "key": "k"}}}
    keeper = world.keeper(world.cluster.add(pod(env=[reference])))
    seen = await world.step(keeper)
    assert container_status(seen)["state"]["waiting"]["reason"] == "CreateContainerConfigError"
    assert 'configmap "late" not found' in container_status(seen)["state"]["waiting"]["message"]
    world.cluster.configuration["late"] = {"data": {"k": "v"}}
    seen = await world.step(keeper, seconds=1)
    assert seen["status"]["phase"] == "Running"
    assert world.processes.launches[0].environ["M"] == "v"


async def test_deleting_asks_first_and_kills_later(world) -> None:
    world.processes.obeys = False
    keeper = world.keeper(world.cluster.add({**pod(), "spec": {**pod()["spec"], "terminationGracePeriodSeconds": 5}}))
    seen = await world.step(keeper)
    await world.cluster.delete_pod(seen)
    keeper.update(world.cluster.pods()[0])
    await world.step(keeper)
    assert len(world.processes.asked) == 1
    await world.step(keeper, seconds=4)
    assert world.processes.running
    await world.step(keeper, seconds=1)
    assert not world.processes.running
    assert world.cluster.pods() == ()
    assert world.records.kept == {}


async def test_the_processes_of_a_pod_that_vanished_end(world) -> None:
    keeper = world.keeper(world.cluster.add(pod()))
    await world.step(keeper)
    world.cluster.objects.clear()
    keeper.update(None)
    await world.step(keeper)
    assert not world.processes.running
    assert world.records.kept == {}


async def test_a_new_kubelet_takes_over_without_a_gap_in_readiness(world) -> None:
    probed = pod(readinessProbe={"grpc": {"port": 1}, "initialDelaySeconds": 5})
    keeper = world.keeper(world.cluster.add(probed))
    await world.step(keeper)
    seen = await world.step(keeper, seconds=6)
    assert is_ready(seen)
    record = world.records.kept[fields.uid(seen)]
    heir = world.keeper(seen, record)
    for container in record.containers:
        heir._adopt(container.name, container.run)
    assert is_ready(await world.step(heir))
    assert len(world.processes.launches) == 1


async def test_an_end_that_nobody_saw_is_still_known(world) -> None:
    keeper = world.keeper(world.cluster.add({**pod(), "spec": {**pod()["spec"], "restartPolicy": "Never"}}))
    seen = await world.step(keeper)
    world.processes.end("main", 0)
    heir = world.keeper(seen, world.records.kept[fields.uid(seen)])
    assert (await world.step(heir))["status"]["phase"] == "Succeeded"


async def test_an_api_server_that_is_away_stops_nothing(world) -> None:
    keeper = world.keeper(world.cluster.add(pod()))
    world.cluster.is_away = True
    await world.step(keeper)
    world.cluster.is_away = False
    seen = await world.step(keeper, seconds=1)
    assert is_ready(seen)
    world.cluster.is_away = True
    await world.step(keeper, seconds=100)
    assert world.processes.running

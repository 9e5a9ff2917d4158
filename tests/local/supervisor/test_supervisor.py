"""The supervisor, over processes in memory."""

import asyncio
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from touchstone_local.errors import StartFailed
from touchstone_local.layout import StateFolder
from touchstone_local.processes import Identity
from touchstone_local.supervisor.core.plan import Check, ProcessSpec, Wave
from touchstone_local.supervisor.core.state import Phase, PlatformState, ProcessPhase
from touchstone_local.supervisor.service import Outside, Pace, Supervisor

FAST = Pace(check_every=0.0, alive_for=0.0, restart_delays=(0.0,), start_attempts=3, grace=0.0)


def spec(name: str, *, after: tuple[str, ...] = (), check: Check = Check.GRPC, wave: Wave = Wave.WORK) -> ProcessSpec:
    return ProcessSpec(
        name=name, command=(name,), environ={}, after=after, check=check, target="127.0.0.1:1", wave=wave,
        start_timeout_seconds=5.0,
    )  # fmt: skip


SPECS = (
    spec("store", wave=Wave.GROUND),
    spec("install", after=("store",), check=Check.EXIT),
    spec("server", after=("install",)),
    spec("operator", after=("server",), wave=Wave.CONTROL),
)


class World:
    """Processes, checks, Pods and a board in memory."""

    def __init__(self) -> None:
        self.names: dict[Identity, str] = {}
        self.ended: dict[Identity, asyncio.Event] = {}
        self.codes: dict[Identity, int] = {}
        self.unwell: set[str] = set()
        self.dies_at_start: dict[str, int] = {}
        self.events: list[str] = []
        self.shown: list[PlatformState] = []

    def start(self, spec: ProcessSpec) -> Identity:
        identity = Identity(len(self.names) + 1, 0.0)
        self.names[identity] = spec.name
        self.ended[identity] = asyncio.Event()
        self.events.append(f"start {spec.name}")
        if spec.check is Check.EXIT:
            self.end(identity, 0)
        if spec.name in self.dies_at_start:
            self.end(identity, self.dies_at_start[spec.name])
        return identity

    def strays(self, known: Collection[Identity]) -> list[Identity]:
        return [identity for identity in self.names if self.is_alive(identity) and identity not in known]

    def end(self, identity: Identity, code: int) -> None:
        self.codes[identity] = code
        self.ended[identity].set()

    def is_alive(self, identity: Identity) -> bool:
        return not self.ended[identity].is_set()

    def exit_code(self, identity: Identity) -> int | None:
        return self.codes.get(identity)

    async def wait(self, identity: Identity) -> None:
        await self.ended[identity].wait()

    async def stop(self, identities: Iterable[Identity] = (), *, grace_seconds: float) -> None:
        for identity in identities:
            self.events.append(f"stop {self.names[identity]}")
            self.end(identity, 0)

    async def passes(self, spec: ProcessSpec) -> bool:
        return spec.name not in self.unwell

    def show(self, state: PlatformState) -> None:
        self.shown.append(state)

    @property
    def now(self) -> PlatformState:
        return self.shown[-1]

    def running(self, name: str) -> list[Identity]:
        return [each for each, called in self.names.items() if called == name and self.is_alive(each)]


class Pods:
    def __init__(self, world: World) -> None:
        self.world = world

    async def stop(self, *, grace_seconds: float) -> None:
        self.world.events.append("stop pods")


def supervisor(world: World, specs: tuple[ProcessSpec, ...] = SPECS, pace: Pace = FAST) -> Supervisor:
    initial = PlatformState(
        phase=Phase.STARTING, subnet="127.88.7", kubeconfig="", is_embedded=True, supervisor_pid=1,
        supervisor_create_time=0.0, started_at="", processes=(),
    )  # fmt: skip
    outside = Outside(processes=world, checks=world, board=world, pods=Pods(world))
    return Supervisor(
        specs, initial, outside, folder=StateFolder(Path("/state")), now=lambda: datetime.now(UTC), pace=pace
    )


async def until(claim) -> None:
    async with asyncio.timeout(10):
        while not claim():
            await asyncio.sleep(0)


async def end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


async def test_processes_start_in_order_and_stop_in_waves() -> None:
    world = World()
    running = asyncio.create_task(supervisor(world).run({}))
    await until(lambda: world.shown and world.now.phase is Phase.READY)
    await end(running)
    assert world.events == [
        "start store", "start install", "start server", "start operator",
        "stop operator", "stop pods", "stop server", "stop store",
    ]  # fmt: skip
    assert world.now.phase is Phase.STOPPED
    assert world.now.process("install").phase is ProcessPhase.COMPLETED


async def test_a_process_that_ends_is_started_again_and_counted() -> None:
    world = World()
    running = asyncio.create_task(supervisor(world).run({}))
    await until(lambda: world.shown and world.now.phase is Phase.READY)
    world.end(world.running("server")[0], 137)
    await until(lambda: len([each for each in world.events if each == "start server"]) == 2)
    await until(lambda: world.now.process("server").phase is ProcessPhase.READY)
    assert world.now.process("server").restarts == 1
    assert world.now.phase is Phase.READY
    await end(running)


async def test_one_that_never_starts_fails_the_platform_and_nothing_is_left() -> None:
    world = World()
    world.dies_at_start["server"] = 1
    with pytest.raises(StartFailed, match="server did not start: it ended with exit code 1"):
        await supervisor(world).run({})
    assert world.events.count("start server") == 3
    assert not [each for each in world.names if world.is_alive(each)]
    assert world.now.phase is Phase.FAILED
    assert "server" in world.now.message


async def test_one_that_cannot_use_its_environment_is_not_tried_again() -> None:
    world = World()
    world.dies_at_start["server"] = 2
    with pytest.raises(StartFailed, match="exit code 2"):
        await supervisor(world).run({})
    assert world.events.count("start server") == 1


async def test_one_that_does_not_become_ready_fails_after_its_time() -> None:
    world = World()
    world.unwell.add("store")
    slow = ProcessSpec(
        name="store", command=("store",), environ={}, after=(), check=Check.GRPC, target="", wave=Wave.GROUND,
        start_timeout_seconds=0.05,
    )  # fmt: skip
    with pytest.raises(StartFailed, match=r"not ready after 0\.05 s"):
        await supervisor(world, (slow,)).run({})


async def test_survivors_are_taken_over_unless_they_have_changed() -> None:
    world = World()
    kept, stale, gone = (world.start(each) for each in (SPECS[0], SPECS[2], spec("removed")))
    world.start(spec("unrecorded"))
    survivors = {
        "store": (kept, SPECS[0].fingerprint),
        "server": (stale, "another"),
        "removed": (gone, "x"),
    }
    world.events.clear()
    running = asyncio.create_task(supervisor(world).run(survivors))
    await until(lambda: world.shown and world.now.phase is Phase.READY)
    assert "start store" not in world.events
    assert {"stop server", "stop removed", "stop unrecorded", "start server"} <= set(world.events)
    assert world.is_alive(kept)
    await end(running)
    assert not world.is_alive(kept)

"""The work queue: each key once, one at a time, failures with growing pauses, nothing forgotten."""

import asyncio
from collections.abc import Callable

import pytest
from touchstone_operator import errors, objects
from touchstone_operator.edge.lease import DURATION_SECONDS, Lease
from touchstone_operator.edge.queue import WorkQueue
from touchstone_operator.edge.routing import Routes
from touchstone_operator.objects import JsonObject, Key, Kind
from touchstone_operator.reconcile.outcome import Outcome
from touchstone_runtime.testing import FakeClock

KEY = Key("EvalRun", "default", "one")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def queue(clock: FakeClock) -> WorkQueue:
    return WorkQueue(now=clock, monotonic=clock.monotonic, resync_seconds=300, jitter=lambda: 0.5)


async def until(claim: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not claim():
            await asyncio.sleep(0)


class Worker:
    def __init__(self) -> None:
        self.done: list[Key] = []
        self.now_running = 0
        self.most_running = 0
        self.fault: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, key: Key) -> Outcome:
        self.now_running += 1
        self.most_running = max(self.most_running, self.now_running)
        await self.gate.wait()
        self.now_running -= 1
        self.done.append(key)
        if self.fault:
            raise self.fault
        return Outcome()


async def test_a_key_added_many_times_is_worked_on_once(queue: WorkQueue) -> None:
    worker = Worker()
    for _ in range(10):
        queue.add(KEY)
    running = asyncio.create_task(queue.run(worker, workers=4))
    await until(lambda: bool(worker.done))
    for _ in range(20):
        await asyncio.sleep(0)
    assert worker.done == [KEY]
    running.cancel()


async def test_a_key_that_changes_while_it_is_worked_on_is_worked_on_again_but_never_twice_at_once(
    queue: WorkQueue,
) -> None:
    worker = Worker()
    worker.gate.clear()
    queue.add(KEY)
    running = asyncio.create_task(queue.run(worker, workers=4))
    await until(lambda: worker.now_running == 1)
    queue.add(KEY)
    for _ in range(20):
        await asyncio.sleep(0)
    assert worker.most_running == 1
    worker.gate.set()
    await until(lambda: len(worker.done) == 2)
    assert worker.most_running == 1
    running.cancel()


async def test_a_failure_is_tried_again_after_growing_pauses(queue: WorkQueue, clock: FakeClock) -> None:
    worker = Worker()
    worker.fault = errors.ClusterUnavailable("GET /x", "gone")
    queue.add(KEY)
    running = asyncio.create_task(queue.run(worker, workers=1))
    for attempt, pause in enumerate([0.2, 0.4, 0.8], start=1):
        await until(lambda attempt=attempt: len(worker.done) == attempt)  # type: ignore[misc]
        await until(lambda: len(queue) == 1)
        clock.advance(pause * 0.9)
        queue.add(Key("EvalRun", "default", "other"), after_seconds=1e6)  # wakes the queue
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(worker.done) == attempt, "too soon"
        clock.advance(pause * 0.2)
        queue.add(Key("EvalRun", "default", f"other-{attempt}"), after_seconds=1e6)
        queue.forget(Key("EvalRun", "default", "other"))
        queue.forget(Key("EvalRun", "default", f"other-{attempt}"))
    running.cancel()


def deployment(prompt: str = "prompts", index: str = "kb") -> JsonObject:
    adapter = {"name": "tone", "source": {"type": "FinetuneJob", "finetuneJobRef": {"name": "tune"}}}
    plain = {"name": "plain", "source": {"type": "URI", "uri": "file:///a"}}
    spec = {
        "prompt": {"configMapKeyRef": {"name": prompt}},
        "rag": {"indexRef": {"name": index}},
        "adapters": [plain, adapter],
    }
    return {"metadata": {"name": "chat", "namespace": "default"}, "spec": spec}


def test_a_change_of_a_prompt_an_index_or_a_job_concerns_who_refers_to_it() -> None:
    routes = Routes()
    chat = Key("ModelDeployment", "default", "chat")
    prompts: JsonObject = {"metadata": {"name": "prompts", "namespace": "default"}}
    assert routes.concerned(objects.CONFIG_MAP, prompts) == set()
    assert routes.concerned(objects.MODEL_DEPLOYMENT, deployment()) == {chat}
    assert routes.concerned(objects.CONFIG_MAP, prompts) == {chat}
    index: JsonObject = {"metadata": {"name": "kb", "namespace": "default"}}
    assert routes.concerned(objects.RAG_INDEX, index) == {chat, Key("RagIndex", "default", "kb")}
    job: JsonObject = {"metadata": {"name": "tune", "namespace": "default"}}
    assert routes.concerned(objects.FINETUNE_JOB, job) == {chat, Key("FinetuneJob", "default", "tune")}
    routes.concerned(objects.MODEL_DEPLOYMENT, deployment(prompt="others"))
    assert routes.concerned(objects.CONFIG_MAP, prompts) == set()


def test_a_change_of_a_child_concerns_the_object_that_controls_it() -> None:
    owner = {"kind": "ModelDeployment", "name": "chat", "uid": "1", "controller": True}
    child: JsonObject = {"metadata": {"name": "x", "namespace": "default", "ownerReferences": [owner]}}
    assert Routes().concerned(objects.DEPLOYMENT, child) == {Key("ModelDeployment", "default", "chat")}


class LeaseCluster:
    def __init__(self) -> None:
        self.lease: JsonObject | None = None

    async def get(self, kind: Kind, namespace: str, name: str) -> JsonObject | None:
        return self.lease

    async def create(self, kind: Kind, obj: JsonObject) -> bool:
        if self.lease is not None:
            return False
        self.lease = obj
        return True

    async def patch_spec(self, kind: Kind, obj: JsonObject, patch: JsonObject) -> JsonObject:
        self.lease = {**obj, "spec": {**obj["spec"], **patch}}
        return self.lease


async def test_a_lease_has_one_holder_until_it_is_released_or_runs_out(clock: FakeClock) -> None:
    cluster = LeaseCluster()

    def lease(identity: str) -> Lease:
        return Lease(
            cluster, namespace="default", name="operator", identity=identity, now=clock, monotonic=clock.monotonic
        )

    first, second = lease("first"), lease("second")
    await first.acquire()
    assert await second._try() is False
    clock.advance(DURATION_SECONDS - 1)
    assert await first._try() is True
    clock.advance(DURATION_SECONDS - 1)
    assert await second._try() is False, "it was renewed"
    await first.release()
    await second.acquire()
    assert cluster.lease is not None
    assert cluster.lease["spec"]["holderIdentity"] == "second"
    third = lease("third")
    assert await third._try() is False
    clock.advance(DURATION_SECONDS + 1)
    assert await third._try() is True, "the holder is gone"

"""The story of ticket triage on the embedded platform: raw tickets, a pipeline, an adapter, a verdict, traffic.

The trainer is killed half-way. It needs an interpreter with touchstone-finetuning[train]: TOUCHSTONE_TRAINER_PYTHON.
"""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
import pytest_asyncio
from touchstone_local import answers, fields, platform
from touchstone_local.answers import Turn
from touchstone_local.fields import Object
from touchstone_local.kube import applying, manifests
from touchstone_local.kube.cluster import Cluster
from touchstone_local.kube.resources import EVAL_RUNS, FINETUNE_JOBS, MODEL_DEPLOYMENTS, Resource
from touchstone_local.kube.waiting import Claim, condition_is, wait_for
from touchstone_local.supervisor.core.addresses import Addresses

EXAMPLE = Path(__file__).parents[2] / "examples" / "ticket-triage"
CACHE = Path(os.environ.get("TOUCHSTONE_TEST_CACHE_DIR", "~/.cache/touchstone/artefacts")).expanduser()
TRAINER = "touchstone_finetuning.training"
STEP_SECONDS = 1200.0

pytestmark = [
    pytest.mark.demo,
    pytest.mark.artefacts,
    pytest.mark.timeout(3000),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(
        "TOUCHSTONE_TRAINER_PYTHON" not in os.environ, reason="needs TOUCHSTONE_TRAINER_PYTHON: `make test-training`"
    ),
]


class Story(NamedTuple):
    """What was seen at the end of each step."""

    base: Object
    job: Object
    tuned: Object
    runs: dict[str, Object]
    addresses: Addresses
    killed_at: int
    """The step of the newest checkpoint when the trainer was killed."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the story's files."""
    folder = tmp_path_factory.mktemp("triage")
    subprocess.run([sys.executable, str(EXAMPLE / "prepare.py"), str(folder / "files")], check=True)
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def story(folder: Path) -> AsyncIterator[Story]:
    state = folder / "state"
    (state / "artefacts").mkdir(parents=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    (state / "artefacts" / "artefacts").symlink_to(CACHE)
    addresses = Addresses((await platform.start(state)).subnet)
    async with await Cluster.connect(state / "kubeconfig") as cluster:
        await apply(cluster, folder / "files", "prompts.yaml", "a-base.yaml")
        base = await wait(cluster, MODEL_DEPLOYMENTS, "ticket-triage", condition_is("Stalled"))
        # The tuned revision is asked for before its adapter is there: it waits.
        await apply(cluster, folder / "files", "b-finetune.yaml", "c-tuned.yaml")
        half = await wait(cluster, FINETUNE_JOBS, "triage", has_checkpoint)
        kill_trainer(state)
        job = await wait(cluster, FINETUNE_JOBS, "triage", is_finished)
        tuned = await wait(cluster, MODEL_DEPLOYMENTS, "ticket-triage", is_settled)
        runs = {fields.name(run): run for run in (await cluster.list(EVAL_RUNS, namespace="default")).items}
        yield Story(base, job, tuned, runs, addresses, fields.integer(half, "status", "checkpoint", "step"))
    await platform.stop(state)


async def apply(cluster: Cluster, folder: Path, *names: str) -> None:
    for name in names:
        async for _ in applying.apply(cluster, manifests.load(folder / name), namespace="default"):
            pass


async def wait(cluster: Cluster, resource: Resource, name: str, claim: Claim) -> Object:
    return await wait_for(
        cluster, resource, name=name, namespace="default", claim=claim, timeout_seconds=STEP_SECONDS, describe=name
    )


def has_checkpoint(job: Object) -> bool:
    return fields.integer(job, "status", "checkpoint", "step") > 0 or is_finished(job)


def is_finished(job: Object) -> bool:
    return fields.text(fields.condition(job, "Succeeded"), "status") in ("True", "False")


def is_settled(deployment: Object) -> bool:
    holds = [condition_is(kind)(deployment) for kind in ("Promoted", "Stalled")]
    return any(holds) and fields.text(fields.condition(deployment, "Reconciling"), "status") != "True"


def kill_trainer(state: Path) -> None:
    found = [
        process
        for process in psutil.process_iter(["cmdline"])
        if TRAINER in (line := process.info["cmdline"] or []) and any(str(state) in part for part in line)
    ]
    assert found, "a trainer was at work"
    for process in found:
        process.kill()


def verdict(story: Story, deployment: Object, revision: str) -> Object:
    """The EvalRun that a revision was judged by."""
    found = next(
        each for each in fields.items(deployment, "status", "revisions") if fields.text(each, "name") == revision
    )
    (gate,) = fields.items(found, "gates")
    return story.runs[fields.text(gate, "evalRunRef", "name")]


def value(run: Object, criterion: str) -> float:
    return float(
        next(
            fields.text(each, "value")
            for each in fields.items(run, "status", "criteria")
            if fields.text(each, "name") == criterion
        )
    )


async def test_the_base_model_fails_the_gate_and_gets_no_traffic(story: Story) -> None:
    assert fields.text(fields.condition(story.base, "Stalled"), "reason") == "EvalGateFailed"
    assert fields.text(story.base, "status", "stableRevision") == ""


async def test_every_planted_fault_was_left_out_and_nothing_else(story: Story) -> None:
    dataset = fields.mapping(story.job, "status", "dataset")
    assert (dataset["records"], dataset["dropped"]) == (400, 84), (
        "20 each: copies, empty, mislabelled, noise; 4 held out"
    )


async def test_a_trainer_that_was_killed_cost_time_and_nothing_else(story: Story) -> None:
    assert fields.text(fields.condition(story.job, "Succeeded"), "reason") == "Completed", story.job["status"]
    assert fields.integer(story.job, "status", "attempts") == 2
    assert any(f"step {story.killed_at}" in str(note) for note in fields.sequence(story.job, "status", "notes"))


async def test_the_tuned_revision_passes_and_is_promoted(story: Story) -> None:
    stable = fields.text(story.tuned, "status", "stableRevision")
    run = verdict(story, story.tuned, stable)
    assert fields.text(run, "status", "verdict") == "Passed"
    assert value(run, "form") >= 0.9
    assert value(run, "right") >= 0.6
    failed = verdict(story, story.base, fields.text(story.base, "status", "failedRevision"))
    assert value(failed, "right") <= 0.1


async def test_lineage_leads_from_the_data_to_the_traffic(story: Story) -> None:
    """Raw file → snapshot → adapter → verdict → weight, by fields that kubectl shows."""
    artifact = fields.text(story.job, "status", "artifact", "digest")
    assert fields.text(story.job, "status", "provenance", "datasetDigest") == fields.text(
        story.job, "status", "dataset", "digest"
    )
    (adapter,) = fields.items(story.tuned, "status", "adapters")
    assert (adapter["digest"], adapter["finetuneJob"]) == (artifact, "triage")
    stable = fields.text(story.tuned, "status", "stableRevision")
    run = verdict(story, story.tuned, stable)
    assert fields.text(run, "status", "subjectRevision") == stable
    weights = {each["name"]: each.get("weightPercent") for each in fields.items(story.tuned, "status", "revisions")}
    assert weights[stable] == 100


async def test_a_ticket_is_triaged_by_the_adapter(story: Story) -> None:
    turns = [Turn("user", "Hello, my parcel has not arrived after 9 days. I need help immediately.")]
    steps = [step async for step in answers.ask(story.addresses.router, "default/ticket-triage", turns)]
    assert steps[-1].answer.text.strip() == '{"queue": "delivery", "priority": "urgent"}'

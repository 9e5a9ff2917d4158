"""The steps: what is applied, what is waited for, and what is seen at the end of each."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from touchstone_local import fields
from touchstone_local.errors import StepFailed
from touchstone_local.fields import Object
from touchstone_local.kube import applying, manifests
from touchstone_local.kube.cluster import Cluster
from touchstone_local.kube.resources import EVAL_RUNS, MODEL_DEPLOYMENTS, RAG_INDEXES, Resource
from touchstone_local.kube.waiting import wait_for

NAMESPACE = "default"
MODEL = "support-assistant"
INDEX = "support-kb"
STEP_SECONDS = 600.0


class Step(NamedTuple):
    """One step of the demo."""

    letter: str
    title: str
    files: tuple[str, ...]
    """Files of the example's folder that are applied."""
    resource: Resource
    name: str
    is_rejected: bool = False
    """Whether the gate must refuse what is applied."""


STEPS: tuple[Step, ...] = (
    Step("a", "a model alone, gated on absolute criteria", ("prompts.yaml", "a-model.yaml"), MODEL_DEPLOYMENTS, MODEL),
    Step("b", "an index over sixty paragraphs, gated on recall", ("b-index.yaml",), RAG_INDEXES, INDEX),
    Step("c", "the model with the index: it must beat what serves", ("c-grounded.yaml",), MODEL_DEPLOYMENTS, MODEL),
    Step("d", "a sabotaged prompt", ("d-sabotaged.yaml",), MODEL_DEPLOYMENTS, MODEL, is_rejected=True),
    Step("e", "c again: nothing is left to measure", ("c-grounded.yaml",), MODEL_DEPLOYMENTS, MODEL),
)


class Seen(NamedTuple):
    """What was seen at the end of a step."""

    step: Step
    seconds: float
    object: Object
    """What was applied, as it now is."""
    gate: Object
    """The EvalRun whose verdict decided; empty if there was none."""
    is_reused: bool
    """Whether the verdict stood there before."""
    runs: int
    """How many EvalRuns there now are."""
    weights: tuple[int, ...]
    """Each weight that the rejected or promoted revision had on the way, in order."""

    @property
    def serving(self) -> str:
        """The revision that serves."""
        status = "stableRevision" if self.step.resource is MODEL_DEPLOYMENTS else "activeRevision"
        return fields.text(self.object, "status", status)


async def walk(
    cluster: Cluster,
    example: Path,
    kubeconfig: Path,
    *,
    steps: Sequence[Step] = STEPS,
    on_begin: Callable[[Step, str], None] = lambda _step, _command: None,
    on_change: Callable[[Step, Object], None] = lambda _step, _object: None,
) -> AsyncIterator[Seen]:
    """Take the steps in order and yield what was seen at the end of each.

    Args:
        cluster: The platform's cluster.
        example: The folder of the example's files.
        kubeconfig: For kubectl, which applies the files where there is one.
        steps: Which steps.
        on_begin: Is told of each step and the command that applies it.
        on_change: Is told of each state of the applied object on the way.

    Raises:
        StepFailed: The gate decided otherwise than the step says, or the object cannot go on.
        WaitExpired: A step took too long.
    """
    for step in steps:
        began = time.monotonic()
        paths = [example / name for name in step.files]
        on_begin(step, await _apply(cluster, paths, kubeconfig))
        weights: list[int] = []

        def note(obj: Object, step: Step = step, weights: list[int] = weights) -> None:
            weights.append(_candidate_weight(obj))
            on_change(step, obj)

        found = await wait_for(
            cluster,
            step.resource,
            name=step.name,
            namespace=NAMESPACE,
            claim=_is_settled,
            timeout_seconds=STEP_SECONDS,
            describe=f"step {step.letter}",
            on_change=note,
        )
        _check(step, found)
        yield await _seen(cluster, step, found, time.monotonic() - began, tuple(weights))


async def _apply(cluster: Cluster, paths: Sequence[Path], kubeconfig: Path) -> str:
    """Apply files with kubectl if there is one, else by server-side apply; return the command."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        for path in paths:
            async for _ in applying.apply(cluster, manifests.load(path), namespace=NAMESPACE):
                pass
        return f"touchstone apply {' '.join(f'-f {path}' for path in paths)}"
    arguments = [part for path in paths for part in ("-f", str(path))]
    process = await asyncio.create_subprocess_exec(
        kubectl, "--kubeconfig", str(kubeconfig), "apply", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    if process.returncode:
        raise StepFailed(f"kubectl apply failed: {output.decode().strip()}")
    return f"kubectl apply {' '.join(arguments)}"


def _is_settled(obj: Object) -> bool:
    """Whether the operator has seen this generation and is done with it, well or not."""
    generation = fields.integer(obj, "metadata", "generation")
    if not obj or fields.integer(obj, "status", "observedGeneration") < generation:
        return False
    if fields.text(fields.condition(obj, "Reconciling"), "status") == "True":
        return False
    is_stalled = fields.text(fields.condition(obj, "Stalled"), "status") == "True"
    return is_stalled or fields.text(fields.condition(obj, "Promoted"), "status") == "True"


def _candidate_weight(obj: Object) -> int:
    candidate = fields.text(obj, "status", "candidateRevision")
    revisions = fields.items(obj, "status", "revisions")
    return next((fields.integer(r, "weightPercent") for r in revisions if fields.text(r, "name") == candidate), 0)


def _check(step: Step, obj: Object) -> None:
    """Hold what came of a step to what it says.

    Raises:
        StepFailed: They differ.
    """
    stalled = fields.condition(obj, "Stalled")
    is_stalled = fields.text(stalled, "status") == "True"
    reason = fields.text(stalled, "reason")
    if step.is_rejected and not (is_stalled and reason == "EvalGateFailed"):
        raise StepFailed(
            f"Step {step.letter}: the gate should have refused this, and did not. Look at `touchstone get`."
        )
    if not step.is_rejected and is_stalled:
        message = fields.text(stalled, "message")
        raise StepFailed(f"Step {step.letter}: {step.resource.kind} {step.name} cannot go on: {reason}: {message}")


async def _seen(cluster: Cluster, step: Step, obj: Object, seconds: float, weights: tuple[int, ...]) -> Seen:
    runs = (await cluster.list(EVAL_RUNS, namespace=NAMESPACE)).items
    decided = fields.text(obj, "status", "failedRevision") if step.is_rejected else ""
    decided = decided or fields.text(obj, "status", "stableRevision") or fields.text(obj, "status", "activeRevision")
    gates = [
        gate
        for revision in fields.items(obj, "status", "revisions")
        if fields.text(revision, "name") == decided
        for gate in fields.items(revision, "gates")
    ]
    reference = fields.text(gates[0], "evalRunRef", "name") if gates else ""
    run = next((run for run in runs if fields.name(run) == reference), {})
    is_reused = bool(gates) and fields.flag(gates[0], "reused")
    return Seen(step, seconds, obj, run, is_reused, len(runs), weights)

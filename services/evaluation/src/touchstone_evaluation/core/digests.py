"""What a verdict and a prediction are bound to. Pure."""

from collections.abc import Mapping
from dataclasses import asdict

from touchstone_runtime.revisions import Digest, digest_json

from touchstone_evaluation.core.spec import RunSpec, Sampling, Suite
from touchstone_evaluation.core.task import Ask, Task


def suite_digest(spec: RunSpec, tasks: Mapping[str, Task], datasets: Mapping[str, Digest]) -> Digest:
    """Digest what is measured and what must hold: drawn items, task versions, parameters, sampling, criteria.

    With the digests of subject and baseline it identifies a verdict. How fast it was measured and where the dataset
    lay do not count; what counts as failed does.
    """
    suites = [
        {
            "name": suite.name,
            "task": suite.task,
            "version": tasks[suite.task].version,
            "dataset": datasets[suite.name],
            "sampling": asdict(suite.sampling),
            "parameters": dict(suite.parameters),
        }
        for suite in spec.suites
    ]
    execution = {
        "on_item_error": spec.execution.on_item_error,
        "max_error_ratio": spec.execution.max_error_ratio,
    }
    criteria = [asdict(criterion) for criterion in spec.criteria]
    return digest_json({"suites": suites, "criteria": criteria, "execution": execution})


def sampling_digest(suite: Suite, task: Task, ask: Ask) -> Digest:
    """Digest how an answer is made, beside item and revision: task, version, parameters, sampling but its repeats."""
    return digest_json(
        {
            "task": task.name,
            "version": task.version,
            "parameters": dict(suite.parameters),
            "sampling": _without_repeats(suite.sampling),
            "ask": type(ask).__name__,
        }
    )


def _without_repeats(sampling: Sampling) -> dict[str, int | float]:
    return {name: value for name, value in asdict(sampling).items() if name != "repeats"}

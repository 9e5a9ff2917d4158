"""What a verdict and a prediction are bound to. Pure."""

from collections.abc import Mapping
from dataclasses import asdict

from touchstone_runtime.revisions import Digest, digest_json

from touchstone_evaluation.core.spec import RunSpec, Sampling
from touchstone_evaluation.core.task import Ask, Task

RECORDED = 2
"""Raised when more is kept of an answer: those that were kept before lack it, and are asked for again."""


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
            "judges": [[judge.name, judge.subject.digest] for judge in suite.judges],
            "cluster_by": suite.cluster_by,
            "slice_by": list(suite.slice_by),
            "calibration": asdict(suite.calibration) if suite.calibration else None,
        }
        for suite in spec.suites
    ]
    execution = {
        "on_item_error": spec.execution.on_item_error,
        "max_error_ratio": spec.execution.max_error_ratio,
        "stop_early": spec.execution.stop_early,
    }
    # What values mean for the business is no part of what must hold.
    criteria = [
        {name: value for name, value in asdict(criterion).items() if name != "business_metric"}
        for criterion in spec.criteria
    ]
    document = {"suites": suites, "criteria": criteria, "execution": execution}
    prices = {side: asdict(price) for side in spec.sides if (price := spec.of_side(side).price)}
    return digest_json(document | {"prices": prices} if prices else document)


def asking_digest(ask: Ask, sampling: Sampling) -> Digest:
    """Digest what is asked and how an answer is made: the same is asked once of a revision, whatever the task."""
    asked = {name: value for name, value in asdict(ask).items() if name != "of"}
    return digest_json({"kind": type(ask).__name__, "ask": asked, "sampling": asdict(sampling), "recorded": RECORDED})

"""Reusing verdicts: which finished EvalRun may stand in for a run. Pure.

A verdict is bound to digests: of the subject, of the baseline, and of suites and criteria. Error is no verdict: nothing
was measured, so it never stands in for anything.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from touchstone_runtime import revisions
from touchstone_runtime.revisions import Digest

from touchstone_operator import objects
from touchstone_operator.api.evalrun import EvalRun
from touchstone_operator.api.evaluations import Evaluation
from touchstone_operator.api.prices import PriceStatus
from touchstone_operator.objects import JsonObject
from touchstone_operator.plan import conditions, times

ERROR = "Error"
PRICE_METRIC = "answer_price"
"""The evaluation service's metric of what an answer costs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictKey:
    """What a verdict is bound to."""

    subject: Digest
    baseline: Digest | None
    template: Digest
    judges: Mapping[str, Digest] | None = field(default_factory=dict)
    """By `SUITE/JUDGE`; None: whoever judged."""
    prices: JsonObject | None = None
    """Of subject and baseline, where criteria ask for prices; None: whatever answers cost."""

    @property
    def label(self) -> str:
        """The key as a label's value."""
        document: dict[str, Any] = {"subject": self.subject, "baseline": self.baseline, "template": self.template}
        if self.judges:
            document["judges"] = dict(self.judges)
        if self.prices is not None:
            document["prices"] = self.prices
        return revisions.digest_json(document).removeprefix("sha256:")[:63]


def has_pinned_datasets(evaluation: Evaluation) -> bool:
    """Tell whether every dataset says its digest: only then is a verdict bound to what was measured on."""
    datasets = [suite.dataset for suite in evaluation.suites if suite.dataset]
    return all(dataset.digest or "#sha256=" in dataset.uri for dataset in datasets)


def has_judges(evaluation: Evaluation) -> bool:
    """Tell whether models judge: which revisions they are is known when a run starts."""
    return any(suite.judges for suite in evaluation.suites)


def has_price_criteria(evaluation: Evaluation) -> bool:
    """Tell whether a criterion asks what answers cost: then the verdict is bound to the prices, too."""
    return any(criterion.metric.endswith(f"/{PRICE_METRIC}") for criterion in evaluation.criteria)


def prices(subject: PriceStatus | None, baseline: PriceStatus | None) -> JsonObject:
    """Write the prices that a verdict rests on."""
    return {name: price.dump() for name, price in (("subject", subject), ("baseline", baseline)) if price}


def template_digest(evaluation: Evaluation) -> Digest:
    """Digest suites and criteria: what is measured and what must hold."""
    document = evaluation.dump()
    return revisions.digest_json({"suites": document["suites"], "criteria": document["criteria"]})


def is_finished(run: EvalRun) -> bool:
    """Tell whether a run has come to an end, with or without a verdict."""
    succeeded = conditions.find(run.status.conditions, conditions.SUCCEEDED)
    return run.status.verdict is not None or (succeeded is not None and succeeded.status != "Unknown")


def verdict_of(run: EvalRun) -> str:
    """Take the verdict of a finished run; one that ended without a verdict measured nothing."""
    return run.status.verdict or ERROR


def finished_at(run: EvalRun) -> datetime:
    """Take the time a run was finished, or was made when it has none."""
    return times.read(run.status.completion_time or run.metadata.creation_timestamp)


def matching(runs: Iterable[EvalRun], key: VerdictKey) -> list[EvalRun]:
    """Find finished runs with these digests, newest first. Runs that are being deleted do not count."""
    found = [
        run
        for run in runs
        if is_finished(run)
        and run.metadata.deletion_timestamp is None
        and run.status.subject_digest == key.subject
        and run.status.baseline_digest == key.baseline
        and _template_of(run) == key.template
        and key.judges in (None, {judge.name: judge.digest for judge in run.status.judges or ()})
        and key.prices in (None, prices(run.status.subject_price, run.status.baseline_price))
    ]
    return sorted(found, key=lambda run: (finished_at(run), run.metadata.name), reverse=True)


def is_fresh(run: EvalRun, *, max_age_seconds: int, now: datetime) -> bool:
    """Tell whether a verdict is young enough; with a largest age of 0 none is."""
    return max_age_seconds > 0 and now - finished_at(run) <= timedelta(seconds=max_age_seconds)


def _template_of(run: EvalRun) -> Digest:
    recorded = run.metadata.annotations.get(objects.ANNOTATION_GATE_DIGEST)
    return Digest(recorded) if recorded else template_digest(run.spec)

"""Gates of type EvalRun: what a gate came to, and the EvalRun to make where nothing is known yet. Pure.

Only runs that the gated object controls are looked at: a verdict cannot be forged by whoever may create EvalRuns.
Where there is nothing to compare with, relative criteria are left out, and the gate's message says which.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from touchstone_runtime.revisions import Digest

from touchstone_operator import objects
from touchstone_operator.api.common import Metadata, ObjectReference
from touchstone_operator.api.evalrun import CriterionStatus, EvalRun
from touchstone_operator.api.evaluations import Evaluation, Gate, GateResult
from touchstone_operator.objects import JsonObject, Kind
from touchstone_operator.plan import reuse
from touchstone_operator.ports import Measured

Verdict = Literal["Pending", "Passed", "Failed", "Inconclusive", "Error"]
MESSAGE_LIMIT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Gated:
    """What is to be judged: a revision of an object, against the one that serves."""

    kind: Kind
    owner: Metadata
    subject: Measured
    baseline: Measured | None
    rollout: str
    """The time the rollout began: runs of an earlier one are reused, not its own."""

    @property
    def force_sync(self) -> str:
        """The value of the annotation by which a person asks to try again."""
        return self.owner.annotations.get(objects.ANNOTATION_FORCE_SYNC, "")

    @property
    def cause(self) -> str:
        """What a run that ended in Error is tried again for: a new generation or a new force-sync."""
        return f"{self.owner.generation}/{self.force_sync}"


class Effective(NamedTuple):
    """A gate's template without what cannot be judged."""

    template: Evaluation | None
    """None when nothing that decides is left."""
    skipped: tuple[str, ...]
    """Names of criteria that were left out or lost their relative half."""


class Judgement(NamedTuple):
    """What a gate came to, and the EvalRun to make."""

    result: GateResult
    run: JsonObject | None = None


def judge(gate: Gate, gated: Gated, runs: Sequence[EvalRun], now: datetime) -> Judgement:
    """Judge a gate by the runs that the gated object controls."""
    template, skipped = effective(gate, gated.baseline)
    if template is None:
        return Judgement(_result(gate, "Passed", message=_skip_note(skipped)))
    digest = reuse.template_digest(template)
    known = [run for run in runs if objects.is_controlled_by(run.metadata, gated.owner)]
    own, earlier = _finished(gate, gated, digest, known, now)
    settled = next((run for run in own if _decides(run, gated)), None)
    if settled:
        return Judgement(_of_run(gate, settled, skipped, is_reused=False))
    active = next((run for run in known if _is_active(run, gate, gated, digest)), None)
    if active:
        return Judgement(_pending(gate, active.metadata.name, skipped))
    reusable = next((run for run in earlier if _decides(run, gated)), None)
    if reusable:
        return Judgement(_of_run(gate, reusable, skipped, is_reused=True))
    run = _new_run(gate, gated, template, digest, known)
    return Judgement(_pending(gate, "", skipped), run)


def effective(gate: Gate, baseline: Measured | None) -> Effective:
    """Leave out of a gate's template what needs a baseline when there is none."""
    if gate.eval_run_template is None:
        return Effective(None, ())
    template = gate.eval_run_template.spec
    if baseline is not None:
        return Effective(template, ())
    skipped = tuple(criterion.name for criterion in template.criteria if criterion.relative)
    kept = tuple(c.model_copy(update={"relative": None}) for c in template.criteria if c.absolute)
    if not any(criterion.required for criterion in kept):
        return Effective(None, skipped)
    return Effective(template.model_copy(update={"criteria": kept}), skipped)


def outdated(runs: Iterable[EvalRun], gates: Sequence[Gate], gated: Gated | None, owner: Metadata) -> list[EvalRun]:
    """Find unfinished runs that no gate waits for any more: of a superseded revision, template or baseline."""
    digests = {}
    for gate in gates if gated else ():
        template = effective(gate, gated.baseline if gated else None).template
        if template:
            digests[gate.name] = reuse.template_digest(template)
    return [
        run
        for run in runs
        if objects.LABEL_GATE in run.metadata.labels
        and objects.is_controlled_by(run.metadata, owner)
        and not reuse.is_finished(run)
        and run.metadata.deletion_timestamp is None
        and not any(gated and _is_active(run, gate, gated, digests.get(gate.name)) for gate in gates)
    ]


def failing(run: EvalRun) -> str:
    """Say in numbers which criteria decided a run that did not pass."""
    verdict = run.status.verdict
    names_required = {c.name for c in run.spec.criteria if c.required}
    decisive = [c for c in run.status.criteria or () if c.verdict == verdict and c.name in names_required]
    return "; ".join(_numbers(criterion) for criterion in decisive)


def _finished(
    gate: Gate, gated: Gated, digest: Digest, known: Sequence[EvalRun], now: datetime
) -> tuple[list[EvalRun], list[EvalRun]]:
    """Split finished runs with these digests into those of this rollout and those that may be reused."""
    baseline = gated.baseline.digest if gated.baseline else None
    key = reuse.VerdictKey(subject=gated.subject.digest, baseline=baseline, template=digest, judges=None)
    found = reuse.matching(known, key)
    own = [run for run in found if run.metadata.annotations.get(objects.ANNOTATION_ROLLOUT) == gated.rollout]
    earlier = [
        run
        for run in found
        if run not in own
        and not reuse.has_judges(run.spec)  # the new EvalRun knows who judges now, and looks for itself
        and reuse.verdict_of(run) != reuse.ERROR
        and reuse.is_fresh(run, max_age_seconds=gate.max_age_seconds, now=now)
    ]
    return own, earlier


def _decides(run: EvalRun, gated: Gated) -> bool:
    """Tell whether a finished run stands: a new cause asks an Error again, a new force-sync an Inconclusive one."""
    cause = run.metadata.annotations.get(objects.ANNOTATION_CAUSE, "")
    match reuse.verdict_of(run):
        case "Error":
            return cause == gated.cause
        case "Inconclusive":
            return cause.partition("/")[2] == gated.force_sync
        case _:
            return True


def _is_active(run: EvalRun, gate: Gate, gated: Gated, digest: Digest | None) -> bool:
    labels = run.metadata.labels
    baseline = run.spec.baseline.revision if run.spec.baseline else None
    return (
        not reuse.is_finished(run)
        and run.metadata.deletion_timestamp is None
        and labels.get(objects.LABEL_GATE) == gate.name
        and labels.get(objects.LABEL_REVISION) == gated.subject.name
        and run.metadata.annotations.get(objects.ANNOTATION_GATE_DIGEST) == digest
        and baseline == (gated.baseline.name if gated.baseline else None)
    )


def _new_run(gate: Gate, gated: Gated, template: Evaluation, digest: Digest, known: Sequence[EvalRun]) -> JsonObject:
    prefix = f"{gated.subject.name}-{gate.name}-"
    numbers = [run.metadata.name.removeprefix(prefix) for run in known if run.metadata.name.startswith(prefix)]
    number = 1 + max((int(text) for text in numbers if text.isdecimal()), default=0)
    reference = {"name": gated.owner.name, "revision": gated.subject.name}
    field = "modelDeploymentRef" if gated.kind is objects.MODEL_DEPLOYMENT else "ragIndexRef"
    baseline = {"type": "Revision", "revision": gated.baseline.name} if gated.baseline else {"type": "None"}
    metadata = objects.child_metadata(
        gated.kind, gated.owner, f"{prefix}{number}", revision=gated.subject.name, gate=gate.name
    )
    annotations = {
        objects.ANNOTATION_GATE_DIGEST: digest,
        objects.ANNOTATION_ROLLOUT: gated.rollout,
        objects.ANNOTATION_CAUSE: gated.cause,
    }
    return {
        "apiVersion": objects.EVAL_RUN.api_version,
        "kind": objects.EVAL_RUN.name,
        "metadata": {**metadata, "annotations": annotations},
        "spec": {
            **template.dump(),
            "subject": {"type": gated.kind.name, field: reference},
            "baseline": baseline,
            "reuse": {"allow": False, "maxAgeSeconds": 0},
        },
    }


def _of_run(gate: Gate, run: EvalRun, skipped: tuple[str, ...], *, is_reused: bool) -> GateResult:
    verdict: Verdict = run.status.verdict or "Error"
    message = failing(run) if verdict != "Passed" else ""
    if verdict == "Error" and not message:
        message = run.status.message or "the run ended without a verdict"
    return _result(gate, verdict, run=run.metadata.name, reused=is_reused, message=_join(message, _skip_note(skipped)))


def _pending(gate: Gate, run: str, skipped: tuple[str, ...]) -> GateResult:
    return _result(gate, "Pending", run=run, message=_skip_note(skipped))


def _result(gate: Gate, verdict: Verdict, *, run: str = "", reused: bool = False, message: str = "") -> GateResult:
    return GateResult(
        name=gate.name,
        verdict=verdict,
        eval_run_ref=ObjectReference(name=run) if run else None,
        reused=reused,
        message=message[:MESSAGE_LIMIT] or None,
    )


def _skip_note(skipped: tuple[str, ...]) -> str:
    if not skipped:
        return ""
    return f"nothing serves yet to compare with: the relative part of {', '.join(skipped)} was skipped"


def _join(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _numbers(criterion: CriterionStatus) -> str:
    parts = [f"{criterion.name} ({criterion.metric})" if criterion.metric else criterion.name]
    parts += [f"value {criterion.value}"] if criterion.value is not None else []
    parts += [f"baseline {criterion.baseline}"] if criterion.baseline is not None else []
    parts += [f"difference {criterion.delta}"] if criterion.delta is not None else []
    if criterion.ci_low is not None and criterion.ci_high is not None:
        parts.append(f"interval {criterion.ci_low} to {criterion.ci_high}")
    return f"{', '.join(parts)}, {criterion.samples} items: {criterion.verdict}"

"""Runs as protos. Pure."""

from collections.abc import Mapping
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp
from touchstone.evaluation.v1 import evaluation_service_pb2 as pb

from touchstone_evaluation.api import specs
from touchstone_evaluation.core.diagnosing import Advice, Diagnosis
from touchstone_evaluation.core.items import ItemDigest
from touchstone_evaluation.core.matches import Standing
from touchstone_evaluation.core.results import BusinessValue, CriterionResult, Interval, MetricValue, Slice
from touchstone_evaluation.core.runs import Run, RunState
from touchstone_evaluation.core.spec import Verdict
from touchstone_evaluation.core.task import Lack
from touchstone_evaluation.service.evaluations import Leaderboard

_STATES = {
    RunState.PENDING: pb.RUN_STATE_PENDING,
    RunState.RUNNING: pb.RUN_STATE_RUNNING,
    RunState.COMPLETED: pb.RUN_STATE_COMPLETED,
    RunState.CANCELLED: pb.RUN_STATE_CANCELLED,
}
_VERDICTS = {
    Verdict.PASSED: pb.VERDICT_PASSED,
    Verdict.FAILED: pb.VERDICT_FAILED,
    Verdict.INCONCLUSIVE: pb.VERDICT_INCONCLUSIVE,
    Verdict.ERROR: pb.VERDICT_ERROR,
}


def run(found: Run) -> pb.Run:
    """Write a run."""
    progress = found.progress
    message = pb.Run(
        dispatch_id=found.dispatch_id,
        spec=specs.write(found.spec),
        state=_STATES[found.state],
        suite_digest=found.suite_digest,
        progress=pb.Progress(
            items_done=progress.done,
            items_total=progress.total,
            items_reused=progress.reused,
            items_failed=progress.failed,
        ),
        usage=pb.RunUsage(
            input_tokens=progress.input_tokens,
            output_tokens=progress.output_tokens,
            judge_tokens=progress.judge_tokens,
            wall_seconds=found.wall_seconds,
        ),
        artifacts=[pb.Artifact(name=a.name, uri=a.uri, digest=a.digest) for a in found.artifacts],
        message=found.stopped,
    )
    if found.conclusion is not None:
        conclusion = found.conclusion
        message.verdict = _VERDICTS[conclusion.verdict]
        message.message = conclusion.message
        message.criteria.extend(_result(result) for result in conclusion.criteria)
        message.metrics.extend(_metric(value) for value in conclusion.metrics)
        message.slices.extend(_slice(found) for found in conclusion.slices)
        if conclusion.score is not None:
            message.score = conclusion.score
    _times(message, found)
    return message


def _times(message: pb.Run, found: Run) -> None:
    for field, time in (
        (message.start_time, found.started_at),
        (message.completion_time, found.finished_at),
        (message.heartbeat_time, found.heartbeat_at),
    ):
        if time is not None:
            field.CopyFrom(_stamp(time))


def _stamp(time: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return stamp


def _result(result: CriterionResult) -> pb.CriterionResult:
    evidence = result.evidence
    message = pb.CriterionResult(
        name=result.name,
        metric=result.metric,
        verdict=_VERDICTS[result.verdict],
        confidence=result.confidence,
        samples=evidence.samples,
        message=result.message,
        required=result.required,
        value=evidence.value,
        baseline=evidence.baseline,
        delta=evidence.delta,
        p_value=evidence.p_value,
        advised_samples=result.advised_samples,
        business=_business(result.business) if result.business else None,
    )
    interval: Interval | None = evidence.delta_interval or evidence.value_interval
    if interval is not None:
        message.ci_low, message.ci_high = interval
    return message


def _business(found: BusinessValue) -> pb.BusinessValue:
    low, high = found.interval or (None, None)
    return pb.BusinessValue(
        name=found.name,
        unit=found.unit,
        value=found.value,
        baseline=found.baseline,
        ci_low=low,
        ci_high=high,
        is_beyond=found.is_beyond,
    )


def _slice(found: Slice) -> pb.Slice:
    message = pb.Slice(
        metric=found.metric,
        field=found.field,
        value=found.value,
        samples=found.samples,
        measured=found.measured,
        baseline=found.baseline,
        delta=found.delta,
        confidence=found.confidence,
        is_worse=found.is_worse,
    )
    interval = found.delta_interval or found.interval
    if interval is not None:
        message.ci_low, message.ci_high = interval
    return message


def _metric(value: MetricValue) -> pb.MetricValue:
    return pb.MetricValue(metric=value.metric, value=value.value, baseline=value.baseline, samples=value.samples)


def leaderboard(found: Leaderboard) -> pb.RankRevisionsResponse:
    """Write a ranking."""
    message = pb.RankRevisionsResponse(
        standings=[_standing(standing, found) for standing in found.ranking.standings],
        matches=found.matches,
        items=found.items,
    )
    for effect in found.ranking.effects:
        message.length_effect.value = effect.value
        message.length_effect.ci_low, message.length_effect.ci_high = effect.interval
    return message


def _standing(standing: Standing, found: Leaderboard) -> pb.Standing:
    subject = found.players.get(standing.player)
    low, high = standing.interval or (None, None)
    return pb.Standing(
        player=standing.player,
        subject=specs.write_subject(subject) if subject else None,
        group=standing.group,
        rating=standing.rating,
        ci_low=low,
        ci_high=high,
        elo=standing.elo,
        elo_low=standing.elo_spread.low,
        elo_high=standing.elo_spread.high,
        matches=standing.matches,
        points=standing.points,
    )


_LACKS = {
    Lack.FORM: pb.LACK_FORM,
    Lack.KNOWLEDGE: pb.LACK_KNOWLEDGE,
    Lack.SEARCH: pb.LACK_SEARCH,
    Lack.READING: pb.LACK_READING,
}
_ADVICES = {
    Advice.NONE: pb.ADVICE_NONE,
    Advice.FINETUNE: pb.ADVICE_FINETUNE,
    Advice.RETRIEVE: pb.ADVICE_RETRIEVE,
    Advice.MEND_SEARCH: pb.ADVICE_MEND_SEARCH,
    Advice.CHANGE_MODEL: pb.ADVICE_CHANGE_MODEL,
    Advice.UNCLEAR: pb.ADVICE_UNCLEAR,
}


def diagnosis(found: Diagnosis, names: Mapping[ItemDigest, str]) -> pb.Diagnosis:
    """Write a diagnosis."""
    return pb.Diagnosis(
        suite=found.suite,
        answers=found.answers,
        failures=found.failures,
        advice=_ADVICES[found.advice],
        parts=[
            pb.DiagnosisPart(
                lack=_LACKS[part.lack],
                count=part.count,
                share=part.share,
                ci_low=part.interval.low,
                ci_high=part.interval.high,
                examples=[names[item] for item in part.examples],
            )
            for part in found.parts
        ],
    )

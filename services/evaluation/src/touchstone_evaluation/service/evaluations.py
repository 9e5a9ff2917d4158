"""What callers ask of evaluation: start, look, cancel, rank."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from touchstone_runtime.errors import Violation

from touchstone_evaluation import errors
from touchstone_evaluation.core import costs, leaderboard, matches, validation
from touchstone_evaluation.core.diagnosing import Diagnosis, diagnose
from touchstone_evaluation.core.items import ItemDigest
from touchstone_evaluation.core.leaderboard import Entry
from touchstone_evaluation.core.matches import Ranking
from touchstone_evaluation.core.runs import Run, RunState
from touchstone_evaluation.core.spec import DEFAULT_CONFIDENCE, RunSpec, Side, Subject, split
from touchstone_evaluation.core.task import Diagnosable, Task
from touchstone_evaluation.ports import Runs
from touchstone_evaluation.service.course import Course

MAX_RANKED = 32
"""Runs that are ranked together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankQuestion:
    """Which runs to rank, by what."""

    dispatch_ids: Sequence[str]
    metric: str
    """`SUITE/METRIC`."""
    control_length: bool = False
    """Whether answers of equal length are compared."""
    confidence: float = DEFAULT_CONFIDENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaderboard:
    """A ranking, and of whom."""

    ranking: Ranking
    players: Mapping[str, Subject]
    """By the names in the ranking; golds as a player are missing."""
    matches: int
    items: int


class Finding(NamedTuple):
    """A diagnosis, and how its examples are called in the dataset."""

    diagnosis: Diagnosis
    names: Mapping[ItemDigest, str]


class Evaluations:
    """Runs, from the callers' side. Blocking."""

    def __init__(self, runs: Runs, course: Course, tasks: Mapping[str, Task]) -> None:
        self._runs = runs
        self._course = course
        self._tasks = tasks

    def start(self, dispatch_id: str, spec: RunSpec) -> Run:
        """Record a run and send its first job; the same dispatch id returns the same run.

        Raises:
            SpecInvalid: The specification has faults; nothing was recorded.
            DispatchIdTaken: The dispatch id belongs to a different run.
        """
        faults = validation.faults(dispatch_id, spec, self._tasks)
        if faults:
            raise errors.SpecInvalid(faults)
        run = self._runs.create(dispatch_id, spec)
        if not run.state.is_final:
            self._course.begin(dispatch_id)
        return run

    def get(self, dispatch_id: str) -> Run:
        """Return a run. Raises RunNotFound."""
        return self._runs.get(dispatch_id)

    def cancel(self, dispatch_id: str) -> Run:
        """Cancel a run; one that has ended stays as it is. Raises RunNotFound."""
        return self._runs.cancel(dispatch_id)

    def rank(self, question: RankQuestion) -> Leaderboard:
        """Rank the revisions that some runs measured.

        Raises:
            SpecInvalid: The question has faults.
            RunNotFound: There is no such run.
            RankingImpossible: The runs cannot be compared.
        """
        faults = list(_faults(question))
        if faults:
            raise errors.SpecInvalid(faults)
        entries = [self._entry(dispatch_id, question) for dispatch_id in dict.fromkeys(question.dispatch_ids)]
        if fault := leaderboard.fault(entries):
            raise errors.RankingImpossible(fault)
        played = leaderboard.matches(entries, with_length=question.control_length)
        if not played:
            raise errors.RankingImpossible("There is no item that two revisions were asked: nobody met.")
        try:
            ranking = matches.rank(played, confidence=question.confidence)
        except matches.Confounded as error:
            raise errors.RankingImpossible(str(error)) from error
        return Leaderboard(
            ranking=ranking,
            players=leaderboard.players(entries),
            matches=len(played),
            items=len({match.cluster for match in played}),
        )

    def diagnose(self, dispatch_id: str, confidence: float) -> list[Finding]:
        """Say of each suite of a run what its failures were short of.

        Raises:
            SpecInvalid: The confidence is none.
            RunNotFound: There is no such run.
            DiagnosisImpossible: The run is not completed, or no task of it can tell.
        """
        faults = list(validation.level("confidence", confidence))
        if faults:
            raise errors.SpecInvalid(faults)
        run = self._runs.get(dispatch_id)
        if run.state is not RunState.COMPLETED:
            raise errors.DiagnosisImpossible(f"The run {dispatch_id} is {run.state}; it must be completed.")
        scores = [score for score in self._runs.scores(dispatch_id) if not score.error]
        found = []
        for suite in run.spec.suites:
            task = self._tasks[suite.task]
            if not isinstance(task, Diagnosable):
                continue
            own = [score for score in scores if score.asking[::2] == (suite.name, Side.SUBJECT)]
            diagnosis = diagnose(suite.name, own, [task.lack(score.values) for score in own], confidence=confidence)
            named = {item for part in diagnosis.parts for item in part.examples}
            items = self._runs.items(dispatch_id, suite.name, sorted(named))
            found.append(Finding(diagnosis, dict(zip(sorted(named), (item.id for item in items), strict=True))))
        if not found:
            raise errors.DiagnosisImpossible(f"No task of the run {dispatch_id} tells form from knowledge.")
        return found

    def _entry(self, dispatch_id: str, question: RankQuestion) -> Entry:
        run = self._runs.get(dispatch_id)
        if run.state is not RunState.COMPLETED:
            raise errors.RankingImpossible(f"The run {dispatch_id} is {run.state}: only completed runs are ranked.")
        suite_name, metric_name = split(question.metric)
        suite = next((suite for suite in run.spec.suites if suite.name == suite_name), None)
        found = costs.metrics(self._tasks[suite.task], suite.parameters, run.spec.subject) if suite else {}
        if suite is None or metric_name not in found:
            raise errors.RankingImpossible(f"The run {dispatch_id} has no metric {question.metric!r}.")
        scores = [score for score in self._runs.scores(dispatch_id) if score.asking.suite == suite_name]
        return Entry(run, suite, found[metric_name], scores)

    def tasks(self) -> list[Task]:
        """List the tasks that are installed, by name."""
        return [self._tasks[name] for name in sorted(self._tasks)]

    def forget(self, before: datetime) -> None:
        """Delete what only made a verdict: items, scores and predictions from before a time. Verdicts stay."""
        self._runs.forget(before)

    def repair_all(self) -> None:
        """See that each run that has not ended goes on."""
        for dispatch_id in self._runs.unfinished():
            self._course.repair(dispatch_id)


def _faults(question: RankQuestion) -> Iterator[Violation]:
    if not 1 <= len(question.dispatch_ids) <= MAX_RANKED:
        yield Violation("dispatch_ids", f"must be 1 to {MAX_RANKED} runs, and there are {len(question.dispatch_ids)}")
    if not all(split(question.metric)):
        yield Violation("metric", "must be SUITE/METRIC, for example helpful/win_rate")
    yield from validation.level("confidence", question.confidence)

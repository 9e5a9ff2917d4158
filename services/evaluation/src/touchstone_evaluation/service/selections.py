"""Choosing among revisions that runs have measured: asked for by callers, carried out by a worker, kept as a job."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from touchstone_runtime.errors import Violation
from touchstone_runtime.jobs import Job, JobNotFound, JobState, JobStore
from touchstone_runtime.revisions import digest_bytes

from touchstone_evaluation import errors
from touchstone_evaluation.core import selecting, validation
from touchstone_evaluation.core.runs import Artifact
from touchstone_evaluation.core.selecting import Candidate, Choice, Objective
from touchstone_evaluation.core.spec import Subject, split
from touchstone_evaluation.core.task import Task
from touchstone_evaluation.ports import Artefacts, Documents, JobKind, Runs, SelectionReporter, Sender
from touchstone_evaluation.service.looking import Looking

MAX_CANDIDATES = 16
MAX_OBJECTIVES = 6
MAX_ID_BYTES = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionSpec:
    """Whom to choose among, by what."""

    candidates: Mapping[str, str]
    """The run that measured each, by the candidate's name."""
    objectives: tuple[Objective, ...]
    """The most important first."""
    excluded: Mapping[str, str] = field(default_factory=dict)
    """Why others were never measured, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """What a selection came to."""

    choice: Choice
    subjects: Mapping[str, Subject]
    """The revisions, by the candidates' names."""
    artifacts: tuple[Artifact, ...] = ()


class SelectionState(StrEnum):
    """Where a selection stands."""

    PENDING = "Pending"
    COMPLETED = "Completed"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A selection as it is recorded."""

    id: str
    state: SelectionState
    selected: Selected | None = None
    """Set when it is completed."""
    message: str = ""
    """Why it failed."""


class Selections:
    """Selections, from the callers' side. Blocking."""

    def __init__(self, jobs: JobStore, sender: Sender, documents: Documents) -> None:
        self._jobs = jobs
        self._sender = sender
        self._documents = documents

    def start(self, selection_id: str, spec: SelectionSpec) -> Selection:
        """Record a selection and send it to a worker; the same id returns the same selection.

        Raises:
            SpecInvalid: The specification has faults; nothing was recorded.
            DispatchIdTaken: The id belongs to a different selection.
        """
        if faults := list(_faults(selection_id, spec)):
            raise errors.SpecInvalid(faults)
        payload = {"selection_id": selection_id, "spec": self._documents.write(spec)}
        job = self._jobs.create(_job_id(selection_id), JobKind.SELECT, payload)
        if job.payload != payload:
            raise errors.DispatchIdTaken(selection_id)
        if not job.state.is_final:
            self._sender.send(job)
        return self._read(selection_id, job)

    def get(self, selection_id: str) -> Selection:
        """Return a selection. Raises SelectionNotFound."""
        try:
            return self._read(selection_id, self._jobs.get(_job_id(selection_id)))
        except JobNotFound as error:
            raise errors.SelectionNotFound(selection_id) from error

    def _read(self, selection_id: str, job: Job) -> Selection:
        if job.state is JobState.SUCCEEDED:
            selected = self._documents.read(job.result, Selected)
            return Selection(id=selection_id, state=SelectionState.COMPLETED, selected=selected)
        if job.state.is_final:
            message = (job.error or {}).get("message", "The work ended without a reason.")
            return Selection(id=selection_id, state=SelectionState.FAILED, message=message)
        return Selection(id=selection_id, state=SelectionState.PENDING)


class Selecting:
    """Carries selections out. Blocking."""

    def __init__(
        self, runs: Runs, artefacts: Artefacts, reporter: SelectionReporter, tasks: Mapping[str, Task]
    ) -> None:
        self._runs = runs
        self._artefacts = artefacts
        self._reporter = reporter
        self._looking = Looking(runs, tasks)

    def select(self, selection_id: str, spec: SelectionSpec) -> Selected:
        """Choose, and store the report.

        Raises:
            RunNotFound: A candidate's run is not there.
        """
        candidates = [self._candidate(name, dispatch_id) for name, dispatch_id in spec.candidates.items()]
        choice = selecting.choose(candidates, spec.objectives, spec.excluded)
        subjects = {candidate.name: candidate.run.spec.subject for candidate in candidates}
        page = self._reporter.render(choice, spec.objectives, subjects)
        files = [("report", "report.html", page.encode()), ("selection", "selection.json", _json(choice, subjects))]
        artifacts = tuple(self._put(selection_id, *file) for file in files)
        return Selected(choice=choice, subjects=subjects, artifacts=artifacts)

    def _candidate(self, name: str, dispatch_id: str) -> Candidate:
        run = self._runs.get(dispatch_id)
        suites = self._looking.measured(run, self._runs.scores(dispatch_id))
        return Candidate(name=name, run=run, suites=suites, metrics=self._looking.metrics(run))

    def _put(self, selection_id: str, name: str, file: str, content: bytes) -> Artifact:
        path = f"selections/{selection_id.replace(':', '_')}/{file}"
        return Artifact(name=name, uri=self._artefacts.put(path, content), digest=digest_bytes(content))


def _json(choice: Choice, subjects: Mapping[str, Subject]) -> bytes:
    """Write what the report says for programs."""
    document = {
        "chosen": choice.chosen,
        "message": choice.message,
        "candidates": [
            {
                "name": one.name,
                "revision": subjects[one.name].revision if one.name in subjects else "",
                "place": one.place,
                "message": one.message,
                "dominated_by": one.dominated_by,
                "contamination": one.contamination,
                "values": {reading.metric: reading.value for reading in one.readings},
                "intervals": {reading.metric: reading.interval for reading in one.readings},
            }
            for one in choice.assessments
        ],
    }
    return json.dumps(document, ensure_ascii=False, indent=1).encode()


def _job_id(selection_id: str) -> str:
    return f"{selection_id}/select"


def _faults(selection_id: str, spec: SelectionSpec) -> Iterator[Violation]:
    if not 1 <= len(selection_id.encode()) <= MAX_ID_BYTES:
        yield Violation("selection_id", f"must be 1 to {MAX_ID_BYTES} bytes")
    if len(spec.candidates) > MAX_CANDIDATES:
        yield Violation("spec.candidates", f"must be at most {MAX_CANDIDATES}, and there are {len(spec.candidates)}")
    for name in spec.candidates.keys() & spec.excluded.keys():
        yield Violation("spec.excluded", f"{name!r} is a candidate as well")
    yield from validation.count("spec.objectives", spec.objectives, MAX_OBJECTIVES)
    for index, objective in enumerate(spec.objectives):
        field_name = f"spec.objectives[{index}]"
        if not all(split(objective.metric)):
            yield Violation(f"{field_name}.metric", "must be SUITE/METRIC, for example golden/token_f1")
        if not 0 <= (objective.max_regression or 0) < float("inf"):
            yield Violation(f"{field_name}.max_regression", "must be a number, 0 or more")
        yield from validation.level(f"{field_name}.confidence", objective.confidence)

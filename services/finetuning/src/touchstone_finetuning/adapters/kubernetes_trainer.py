"""The trainer as a Kubernetes Job, which outlives the worker that made it.

A run has one Job, by its name: a worker that comes after one that died takes the Job over and reads its events from
their beginning. Nobody else's trainer is ever at work on the workspace: a Job of another recipe is deleted, and another
one is made when its pods are gone. A Job that no worker tends is ended by its own program, which watches a file.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from touchstone_runtime.cluster.faults import ClusterUnavailable
from touchstone_runtime.errors import DomainError

from touchstone_finetuning import errors
from touchstone_finetuning.adapters import workspace_files
from touchstone_finetuning.adapters.kubernetes_jobs import KubernetesJobs
from touchstone_finetuning.core import outcome, trainer_jobs
from touchstone_finetuning.core.outcome import Fault, Reason
from touchstone_finetuning.core.resources import Resources
from touchstone_finetuning.core.trainer_jobs import Cause, End, JsonObject, Wait
from touchstone_finetuning.ports import Ending, Workspace

IMAGE_SECONDS = 600.0
"""How long an image may be missing."""
VISIBLE_SECONDS = 15.0
"""How long what a trainer wrote on another node may take to be seen here."""
TOLD = "told"
"""The file with the name of the last Job whose failure was told: it is not taken over again."""
KILL_GRACE_SECONDS = 1
KILL_PAUSES_SECONDS = (0.5, 2.0, 5.0)
"""Between tries to delete a Job while the API does not answer."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long what takes time may take, in seconds."""

    pending: float
    """Until a trainer begins: for quota, for a node, for its image."""
    poll: float = 2.0
    """Between two looks at the cluster."""
    leash: float = outcome.LEASH_SECONDS
    """How long a trainer goes on that no worker tends."""


class KubernetesTrainer:
    """The trainer port."""

    def __init__(self, api: Callable[[], KubernetesJobs], template: JsonObject, *, patience: Patience) -> None:
        """Prepare.

        Args:
            api: Opens the API of the template's namespace; called at each start.
            template: The Job of a training but for what is the training's own.
            patience: How long what takes time may take.
        """
        self._api = api
        self._template = template
        self._patience = patience

    def start(self, workspace: Workspace, resources: Resources) -> "KubernetesTraining":
        """Start a trainer on the recipe in a workspace, or take over the one that is at work on it."""
        job = trainer_jobs.render(
            self._template,
            key=workspace.folder.name,
            arguments=(f"{outcome.LEASH_OPTION}={self._patience.leash:g}", str(workspace.folder)),
            resources=resources,
            recipe=(workspace.folder / outcome.RECIPE).read_text(),
        )
        return KubernetesTraining(self._api(), job, workspace, self._patience)


class KubernetesTraining:
    """A trainer at work, or about to be."""

    def __init__(self, api: KubernetesJobs, job: JsonObject, workspace: Workspace, patience: Patience) -> None:
        self._api = api
        self._wanted = job
        self._name: str = job["metadata"]["name"]
        self._folder = workspace.folder
        self._selector = f"{trainer_jobs.RUN_LABEL}={workspace.folder.name}"
        self._patience = patience
        self._events = workspace_files.Events(workspace.folder)
        self._uid = ""
        """Of its Job; empty: there is none yet."""
        self._waits_for: Wait | None = None
        self._told_wait: Wait | None = None
        self._waits_since = time.monotonic()
        self._looks_at = time.monotonic()
        self._is_over = False

    def wait(self, seconds: float) -> Ending | None:
        """Wait for its end; None when it goes on, or has not begun."""
        (self._folder / outcome.LEASH).touch()
        rest = self._looks_at - time.monotonic()
        time.sleep(max(0.0, min(rest, seconds)))
        if rest > seconds:
            return None
        self._looks_at = time.monotonic() + self._patience.poll
        try:
            if not self._uid:
                self._begin()
                return None
            ending = self._follow()
        except (ClusterUnavailable, errors.QuotaExceeded, errors.ClusterRefused) as error:
            logger.warning("no word of the trainer", extra={"job": self._name, "fault": error.message})
            if not self._uid:
                if not error.is_retryable:
                    raise
                self._wait_for(Wait(message=error.message), error)
            return None  # a trainer that is at work needs no API server
        self._is_over = ending is not None
        return ending

    def events(self) -> Sequence[Mapping[str, Any]]:
        """Return what it has told since the last call, and what it waits for."""
        told: list[Mapping[str, Any]] = []
        if self._waits_for != self._told_wait:
            self._told_wait = self._waits_for
            told.append({"kind": "waiting", "message": self._waits_for.message if self._waits_for else ""})
        return [*told, *self._events.read()] if self._uid else told

    def leave(self, seconds: float) -> None:
        """Leave its Job to the next worker, which takes it over."""
        self._is_over = True

    def kill(self) -> None:
        """Delete its Job with its pods."""
        if self._is_over:
            return
        self._is_over = True
        for pause_seconds in (*KILL_PAUSES_SECONDS, 0.0):
            try:
                self._remove(KILL_GRACE_SECONDS)
                return
            except DomainError as error:
                # Where it stays so, the trainer ends by its leash, and the next one of this run finds it by its name.
                logger.warning("the trainer goes on", extra={"job": self._name, "fault": error.message})
            time.sleep(pause_seconds)

    def _begin(self) -> None:
        """Take over what is there, or make it once nothing else is."""
        job = self._api.job(self._name)
        if job and self._is_ours(job):
            self._uid = job["metadata"]["uid"]
            return
        if job or any(trainer_jobs.is_alive(pod) for pod in self._api.pods(self._selector)):
            self._wait_for(Wait(message="the end of another trainer of this job"))
            self._remove(None)
            return
        workspace_files.clear(self._folder)
        if made := self._api.create_job(self._wanted):
            self._uid = made["metadata"]["uid"]

    def _is_ours(self, job: JsonObject) -> bool:
        told = self._folder / TOLD
        is_told = told.exists() and told.read_text() == job["metadata"]["uid"]
        return trainer_jobs.does_the_same(job, self._wanted) and not trainer_jobs.is_going(job) and not is_told

    def _remove(self, grace_seconds: int | None) -> None:
        job = self._api.job(self._name)
        if job and not trainer_jobs.is_going(job):
            self._api.delete_job(job)
        for pod in self._api.pods(self._selector):
            if trainer_jobs.is_alive(pod) and (grace_seconds is not None or not trainer_jobs.is_going(pod)):
                self._api.end_pod(pod, grace_seconds=grace_seconds)

    def _follow(self) -> Ending | None:
        job = self._api.job(self._name)
        if job and job["metadata"]["uid"] != self._uid:
            job = None
        pods = self._api.pods(f"{self._selector},batch.kubernetes.io/controller-uid={self._uid}")
        found = trainer_jobs.end(job, pods)
        if found is None:
            warnings = self._api.warnings(self._uid) if not pods else []
            self._wait_for(trainer_jobs.waits_for(pods, warnings))
            return None
        return self._ending(found)

    def _ending(self, end: End) -> Ending:
        ending = workspace_files.ending(self._folder, end.code)
        deadline = time.monotonic() + VISIBLE_SECONDS
        while end.cause is Cause.EXITED and not end.code and not ending.result and time.monotonic() < deadline:
            time.sleep(0.2)
            ending = workspace_files.ending(self._folder, end.code)
        if not ending.result or end.code:
            (self._folder / TOLD).write_text(self._uid)
        match end.cause:
            case Cause.LOST:
                raise errors.TrainerLost(end.message)
            case Cause.DISRUPTED:
                return ending._replace(code=outcome.EXIT_PREEMPTED)
            case Cause.OUT_OF_MEMORY:
                return ending._replace(fault=_out_of_memory(end.message))
            case Cause.EXITED:
                return ending

    def _wait_for(self, what: Wait | None, error: DomainError | None = None) -> None:
        """Note what it waits for, and end what has waited for too long."""
        was_image = self._waits_for is not None and self._waits_for.is_image
        self._waits_for = what
        if what is None:
            return
        if what.is_image != was_image:
            self._waits_since = time.monotonic()
        limit = min(IMAGE_SECONDS, self._patience.pending) if what.is_image else self._patience.pending
        if time.monotonic() - self._waits_since > limit:
            raise error or errors.TrainerNotStarted(limit, what.message)


def _out_of_memory(limit: str) -> Fault:
    return Fault(
        reason=Reason.OUT_OF_MEMORY,
        message=f"Memory ended at the limit of {limit}. Lower hyperparameters.batch_size (and raise "
        "gradient_accumulation as much), lower max_sequence_length, set gradient_checkpointing, or raise "
        "spec.resources.memory.",
    )

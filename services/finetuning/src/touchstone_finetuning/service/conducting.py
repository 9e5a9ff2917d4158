"""Sees one training through: brings what it needs, starts the trainer, listens, publishes what it made.

The trainer is a process apart. It may be killed at any time, as may the worker: the next attempt enters the same
workspace and goes on from the newest checkpoint.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from touchstone_runtime import revisions
from touchstone_runtime.artefacts import uris
from touchstone_runtime.durable import write_text
from touchstone_runtime.jobs import ClaimLost, Preempted

from touchstone_finetuning import errors
from touchstone_finetuning.core import codec, outcome, recipes
from touchstone_finetuning.core.outcome import Reason, Result
from touchstone_finetuning.core.progress import Progress, Stage
from touchstone_finetuning.core.recipe import MergeRecipe, Recipe
from touchstone_finetuning.core.recipes import Machine, Materials
from touchstone_finetuning.core.results import Artifact, Provenance, TrainingResult
from touchstone_finetuning.core.spec import Source, TrainingSpec
from touchstone_finetuning.ports import (
    Datasets,
    Ending,
    Fetched,
    Outputs,
    Sources,
    Trainer,
    Training,
    Workspace,
    Workspaces,
)

LISTEN_SECONDS = 1.0
"""Between two looks at what the trainer has told: also how long a cancelled one may go on."""

BASE = "base.digest"
"""The file of a workspace that says what its run trains from."""

Tell = Callable[[Progress], None]
"""Records progress; raises Cancelled, Preempted or ClaimLost when the training should stop."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conductor:
    """Runs trainings, one at a time."""

    sources: Sources
    datasets: Datasets
    workspaces: Workspaces
    trainer: Trainer
    outputs: Outputs
    machine: Machine
    stop_seconds: float

    def conduct(self, spec: TrainingSpec, tell: Tell) -> TrainingResult:
        """Train, and publish the result.

        Raises:
            DomainError: It could not be done; those that are retryable go on from the last checkpoint.
            Cancelled: It was cancelled; the trainer is gone, its checkpoints stay.
            Preempted: The worker stops; the trainer has saved what it could, or goes on and is taken over.
        """
        progress = Progress()
        tell(progress)
        self.outputs.check(spec.output_uri, spec.output_credentials)
        self.workspaces.sweep()
        base = self.sources.fetch(spec.base)
        with self.workspaces.enter(spec.run) as workspace:
            _keep_base(spec.base, base, workspace)
            recipe, origin = self._recipe(spec, base, workspace)
            write_text(workspace.folder / outcome.RECIPE, codec.to_json(recipe))
            training = self.trainer.start(workspace, spec.resources)
            progress, made = self._follow(training, replace(progress, stage=Stage.LOADING), tell)
            tell(replace(progress, stage=Stage.PUBLISHING, remaining_seconds=0))
            published = self.outputs.publish(
                workspace.folder / recipes.OUTPUT, spec.output_uri, spec.output_credentials
            )
            tell(progress)  # the last word on a lost claim, before others see the result
            self.workspaces.retire(workspace)
        artifact = Artifact(
            uri=published.uri,
            digest=published.digest,
            size_bytes=published.size_bytes,
            type=made.type,
            rank=made.rank or 0,
        )
        return TrainingResult(artifact=artifact, provenance=origin)

    def _recipe(
        self, spec: TrainingSpec, base: Fetched, workspace: Workspace
    ) -> tuple[Recipe | MergeRecipe, Provenance]:
        origin = Provenance(
            base_model_digest=base.digest,
            dataset_digest="",
            spec_digest=revisions.digest_json(codec.to_fields(spec)),
            seed=spec.hyperparameters.seed,
            trainer_image=self.machine.image,
            code_version=self.machine.code_version,
        )
        if spec.merge:
            models = [self.sources.fetch(each.source).path for each in spec.merge.models]
            return recipes.merge_recipe(spec, spec.merge, models, base.path, workspace.folder, origin), origin
        if spec.data is None:
            raise errors.DatasetInvalid("there is none.")
        data = self._data(spec.data)
        split = self.datasets.split(data, share=spec.validation_split, folder=workspace.folder)
        if spec.data.digest and split.digest != spec.data.digest:
            raise errors.DatasetInvalid(f"it has the digest {split.digest}, not {spec.data.digest}.")
        materials = Materials(
            base=base.path,
            train=split.train,
            validation=split.validation,
            workspace=workspace.folder,
            checkpoints=self._checkpoints(spec, workspace),
        )
        origin = replace(origin, dataset_digest=split.digest)
        return recipes.recipe(spec, materials, origin, threads=self.machine.threads), origin

    def _data(self, source: Source) -> Fetched:
        """Bring the data here. The digest of a snapshot is its manifest's, which is looked at once it is here."""
        is_folder = uris.parse(source.uri).is_folder
        return self.sources.fetch(replace(source, digest="") if is_folder else source)

    def _checkpoints(self, spec: TrainingSpec, workspace: Workspace) -> Path:
        own = workspace.folder / "checkpoints"
        return self.sources.own_file(spec.checkpoint_uri) / own.parent.name if spec.checkpoint_uri else own

    def _follow(self, training: Training, progress: Progress, tell: Tell) -> tuple[Progress, Result]:
        try:
            while True:
                ending = training.wait(LISTEN_SECONDS)
                for event in training.events():
                    progress = progress.after(event)
                tell(progress)
                if ending:
                    return progress, _result(ending)
        except Preempted:
            training.leave(self.stop_seconds)
            raise
        except ClaimLost:
            training.leave(0)  # its next worker waits for the workspace
            raise
        finally:
            training.kill()


def _keep_base(source: Source, found: Fetched, workspace: Workspace) -> None:
    """Hold every attempt of a run to the base that its first one found: an address may come to mean another.

    Raises:
        BaseModelChanged: It does.
    """
    mark = workspace.folder / BASE
    known = mark.read_text() if mark.exists() else ""
    if not known:
        write_text(mark, found.digest)
    elif known != found.digest:
        raise errors.BaseModelChanged(source.uri, known, found.digest)


def _result(ending: Ending) -> Result:
    if ending.code == outcome.EXIT_DONE and ending.result is not None:
        return ending.result
    if ending.code == outcome.EXIT_PREEMPTED:
        raise Preempted
    if ending.fault is None:
        raise errors.TrainerDied(ending.code)
    if ending.fault.reason is Reason.INTERNAL_ERROR:
        raise errors.TrainerBroken(ending.fault.message)
    raise errors.TrainerFaulted(ending.fault.reason, ending.fault.message)

"""Trainings seen through: resumed, cancelled, preempted, failed for a reason, published once."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from touchstone_finetuning import errors
from touchstone_finetuning.adapters.subprocess_trainer import SubprocessTrainer
from touchstone_finetuning.core.progress import Progress, Stage
from touchstone_finetuning.core.recipe import MergeType, Method
from touchstone_finetuning.core.spec import Merge, Merged, Source, TrainingSpec
from touchstone_finetuning.service.conducting import Conductor
from touchstone_runtime.artefacts import UriInvalid
from touchstone_runtime.errors import DomainError
from touchstone_runtime.jobs import Cancelled, Preempted

Spec = Callable[..., TrainingSpec]


class Told(list[Progress]):
    """Remembers progress, and speaks up at a step."""

    def __init__(self, at_step: int = 0, word: type[Exception] = Cancelled) -> None:
        super().__init__()
        self._at_step, self._word = at_step, word

    def __call__(self, progress: Progress) -> None:
        self.append(progress)
        if self._at_step and progress.step >= self._at_step:
            raise self._word


def test_a_training_comes_to_an_artefact_with_its_lineage(conductor: Conductor, spec: Spec, tmp_path: Path) -> None:
    told = Told()
    result = conductor.conduct(spec("steps 3"), told)
    assert told[0].stage is Stage.FETCHING
    assert told[-1].metrics["train_loss"].step == 3
    assert (told[-1].step, told[-1].total_steps, told[-1].checkpoint_step) == (3, 3, 3)
    folder = tmp_path / "out" / result.artifact.digest.removeprefix("sha256:")
    lineage = json.loads((folder / "lineage.json").read_text())
    assert lineage["base_model_digest"] == result.provenance.base_model_digest
    assert lineage["dataset_digest"] == result.provenance.dataset_digest
    assert lineage["trainer_image"] == "trainer@sha256:1"
    assert result.artifact.rank == 4


def test_a_trainer_that_was_killed_goes_on_from_its_checkpoint(conductor: Conductor, spec: Spec) -> None:
    training = spec("steps 3", "die", "steps 5")
    with pytest.raises(errors.TrainerDied, match="killed by signal 9") as died:
        conductor.conduct(training, Told())
    assert died.value.is_retryable
    told = Told()
    conductor.conduct(training, told)
    assert told[-1].notes == ("Begins at step 3.",)
    assert told[-1].step == 5


def test_a_base_that_changed_between_attempts_is_not_trained_on(conductor: Conductor, spec: Spec) -> None:
    """An address without a commit was asked again: checkpoints of one base went on in another."""
    with pytest.raises(errors.TrainerDied):
        conductor.conduct(spec("steps 3", "die", "steps 5"), Told())
    with pytest.raises(errors.BaseModelChanged, match=r"baseModel\.revision") as raised:
        conductor.conduct(spec("steps 5"), Told())
    assert not raised.value.is_retryable
    conductor.conduct(spec("steps 5", run="uid-2"), Told())


@pytest.mark.parametrize(
    ("output", "cause"), [("adl://lake/out", "cannot be opened"), ("file:///somewhere/else", "must lie below")]
)
def test_a_place_that_takes_no_result_is_told_before_anything_is_trained(
    conductor: Conductor, spec: Spec, tmp_path: Path, output: str, cause: str
) -> None:
    """A store whose client was missing was found out when the training was done, and the result was lost."""
    with pytest.raises(UriInvalid, match=cause):
        conductor.conduct(spec("steps 3", output_uri=output), Told())
    assert not (tmp_path / "runs").exists()


def test_a_cancelled_training_is_killed_and_its_checkpoints_stay(conductor: Conductor, spec: Spec) -> None:
    training = spec("steps 2", "wait", "steps 4")
    with pytest.raises(Cancelled):
        conductor.conduct(training, Told(at_step=2))
    told = Told()
    conductor.conduct(training, told)
    assert told[-1].notes == ("Begins at step 2.",)


def test_a_preempted_training_is_asked_to_save_and_goes_on_elsewhere(conductor: Conductor, spec: Spec) -> None:
    training = spec("steps 2", "wait", "steps 4")
    with pytest.raises(Preempted):
        conductor.conduct(training, Told(at_step=2, word=Preempted))
    assert conductor.conduct(training, Told()).artifact.rank == 4


@pytest.mark.parametrize(
    ("reason", "is_retryable", "camel"),
    [("DatasetInvalid", False, "DATASET_INVALID"), ("InternalError", True, "TRAINER_BROKEN")],
)
def test_a_fault_keeps_its_reason_and_only_defects_are_tried_again(
    conductor: Conductor, spec: Spec, reason: str, is_retryable: bool, camel: str
) -> None:
    with pytest.raises(DomainError, match="So it is") as raised:
        conductor.conduct(spec("steps 1", f"fault {reason}"), Told())
    assert raised.value.is_retryable == is_retryable
    assert raised.value.reason == camel


def test_a_merge_is_made_of_its_models_and_keeps_where_they_came_from(
    conductor: Conductor, spec: Spec, tmp_path: Path
) -> None:
    for name in ("tone", "law"):
        (tmp_path / name).write_text(name)
    models = tuple(
        Merged(source=Source(uri=f"file://{tmp_path}/{name}"), weight=weight, density=1.0)
        for name, weight in (("tone", 0.25), ("law", 0.75))
    )
    merge = Merge(type=MergeType.LINEAR, models=models)
    result = conductor.conduct(spec(method=Method.MERGE, adapter=None, data=None, merge=merge), Told())
    folder = tmp_path / "out" / result.artifact.digest.removeprefix("sha256:")
    assert (folder / "model.safetensors").read_text() == "Linear: 0.25 of tone, 0.75 of law"
    lineage = json.loads((folder / "lineage.json").read_text())
    assert (lineage["model 0"], lineage["model 1"]) == (f"file://{tmp_path}/tone", f"file://{tmp_path}/law")
    assert (result.artifact.type, result.provenance.dataset_digest) == ("Model", "")


def test_a_training_whose_end_was_not_recorded_is_found_done(conductor: Conductor, spec: Spec, tmp_path: Path) -> None:
    first = conductor.conduct(spec("steps 2"), Told())
    told = Told()
    assert conductor.conduct(spec("steps 2"), told) == first
    assert told[-1].notes == ("Begins at step 2.",)
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_an_interpreter_that_is_not_there_is_told(conductor: Conductor, spec: Spec) -> None:
    bare = replace(conductor, trainer=SubprocessTrainer(("/not/there",), environ={}))
    with pytest.raises(errors.TrainerMissing, match="touchstone-finetuning\\[train\\]"):
        bare.conduct(spec("steps 1"), Told())

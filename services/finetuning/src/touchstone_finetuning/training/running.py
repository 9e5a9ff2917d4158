"""One run from its recipe to its artefact."""

import hashlib
from dataclasses import replace
from pathlib import Path

import torch
from peft import PeftModel
from touchstone_runtime import folders
from transformers import PreTrainedTokenizerFast, Trainer

from touchstone_finetuning.core import codec
from touchstone_finetuning.core.outcome import ArtifactType, Result
from touchstone_finetuning.core.recipe import Checkpointing, Method, Quantization, Recipe, Resume
from touchstone_finetuning.training import (
    artifacts,
    bases,
    checkpoints,
    datasets,
    durable,
    memory,
    preferring,
    trainers,
)
from touchstone_finetuning.training.callbacks import Reporting, Sealing, Stopping
from touchstone_finetuning.training.checkpoints import Checkpoint
from touchstone_finetuning.training.events import EventLog
from touchstone_finetuning.training.rendering import Renderer
from touchstone_finetuning.training.stopping import Preemption

_NOWHERE = Checkpointing(folder="")


def run(recipe: Recipe, log: EventLog, preemption: Preemption) -> Result | None:
    """Train and publish; None when the run was told to stop and left a checkpoint.

    Raises:
        TrainingFault: the run cannot be done, and the fault says why.
    """
    _set_up(recipe)
    tokenizer = bases.load_tokenizer(Path(recipe.base))
    renderer = Renderer(tokenizer)
    train = datasets.prepare(recipe, recipe.train, renderer, name="train")
    held_out = datasets.prepare(recipe, recipe.validation, renderer, name="validation") if recipe.validation else None
    for note in (*train.notes, *(held_out.notes if held_out else ())):
        log.note(note)
    longest = max(each.longest for each in (train, held_out) if each)
    log.note(memory.require(recipe, bases.load_config(Path(recipe.base)), longest=longest))
    fingerprint = _fingerprint(recipe, train.digest)
    start = _start(recipe, fingerprint, log)
    reporting = Reporting(log)
    trainer = trainers.make(
        recipe,
        model=_model(recipe),
        reference=_model(recipe) if recipe.method is Method.DPO and recipe.adapter is None else None,
        tokenizer=tokenizer,
        train=train.dataset,
        validation=held_out.dataset if held_out else None,
        callbacks=[reporting, Sealing(log, recipe.checkpoint, fingerprint=fingerprint), Stopping(preemption)],
    )
    preemption.is_stepping = True
    trainer.train(resume_from_checkpoint=str(start.folder) if start else None)
    preemption.is_stepping = False
    if preemption.is_asked:
        return None
    if held_out and reporting.evaluated_step != trainer.state.global_step:
        trainer.evaluate()
    if recipe.method is Method.DPO:
        bias = preferring.length_bias(trainer, (held_out or train).dataset, beta=recipe.hyperparameters.beta)
        reporting.tell("length_difference", bias.length_difference, trainer.state.global_step)
        if bias.correlation is not None:
            reporting.tell("length_bias", bias.correlation, trainer.state.global_step)
    return _finish(recipe, trainer, tokenizer, reporting.last, log, start)


def _set_up(recipe: Recipe) -> None:
    """Make results repeat: as many threads as asked, and no operation whose order is by chance."""
    torch.set_num_threads(recipe.threads)
    torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
    torch.utils.deterministic.fill_uninitialized_memory = False  # for finding bugs: every tensor would be written twice
    durable.remove(Path(recipe.checkpoint.folder) / trainers.STAGING)
    Path(recipe.checkpoint.folder).mkdir(parents=True, exist_ok=True)


def _model(recipe: Recipe) -> torch.nn.Module:
    quantization = recipe.adapter.quantization if recipe.adapter else Quantization.NONE
    # All weights: those of full precision are kept, and computed with in bf16. Under an adapter none is changed.
    is_half = torch.cuda.is_available() and recipe.adapter is not None
    return bases.load_model(
        Path(recipe.base), dtype=torch.bfloat16 if is_half else torch.float32, quantization=quantization
    )


def _fingerprint(recipe: Recipe, data: str) -> str:
    """Name what a checkpoint is the state of: places, and how often it is saved, may change between tries."""
    what = replace(recipe, base="", train=(), validation=(), output="", checkpoint=_NOWHERE, lineage={})
    what = replace(what, threads=1, memory_bytes=0)
    base = Path(recipe.base)
    sizes = [file.stat().st_size for file in (sorted(base.iterdir()) if base.is_dir() else [base])]
    return hashlib.sha256(f"{codec.to_json(what)}{data}{sizes}".encode()).hexdigest()


def _start(recipe: Recipe, fingerprint: str, log: EventLog) -> Checkpoint | None:
    if recipe.checkpoint.resume is Resume.NEVER:
        return None
    found = checkpoints.newest(Path(recipe.checkpoint.folder), fingerprint=fingerprint, on_rejected=log.note)
    if found:
        log.note(f"Goes on from the checkpoint of step {found.step}.")
    return found


def _finish(
    recipe: Recipe,
    trainer: Trainer,
    tokenizer: PreTrainedTokenizerFast,
    metrics: dict[str, float],
    log: EventLog,
    start: Checkpoint | None,
) -> Result:
    steps = trainer.state.global_step
    folder = artifacts.publish(recipe, model=trainer.model, tokenizer=tokenizer, metrics=metrics, steps=steps, log=log)
    is_adapter = isinstance(trainer.model, PeftModel)
    return Result(
        folder=str(folder),
        size_bytes=folders.size_bytes(folder),
        type=ArtifactType.LORA_ADAPTER if is_adapter else ArtifactType.MODEL,
        rank=recipe.adapter.rank if recipe.adapter else None,
        metrics=metrics,
        steps=steps,
        resumed_from_step=start.step if start else 0,
        peak_memory_bytes=memory.peak_bytes(),
        tokens_trained=int(trainer.state.num_input_tokens_seen),
    )

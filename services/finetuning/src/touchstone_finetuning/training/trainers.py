"""The trainers of trl, set as a recipe says, fed with tokens that are ours."""

from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerFast,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

from touchstone_finetuning.core.outcome import Reason
from touchstone_finetuning.core.recipe import Adapter, Method, Recipe
from touchstone_finetuning.training.faults import TrainingFault

STAGING = ".staging"
"""Within the folder of checkpoints: what is not sealed yet."""


class PairTrainer(DPOTrainer):
    """DPO on pairs that are tokens already: the template and the masks are those of SFT."""

    def _prepare_dataset(self, dataset: Dataset, *_: object) -> Dataset:
        return dataset


def make(
    recipe: Recipe,
    *,
    model: PreTrainedModel,
    reference: PreTrainedModel | None,
    tokenizer: PreTrainedTokenizerFast,
    train: Dataset,
    validation: Dataset | None,
    callbacks: list[TrainerCallback],
) -> Trainer:
    """Make the trainer of a recipe's method.

    Args:
        recipe: What is to be made.
        model: The base.
        reference: DPO of all weights: the base once more, which stays as it is.
        tokenizer: Of the base.
        train: Rows of tokens.
        validation: Rows that are never trained on.
        callbacks: What is done beside the steps.

    Raises:
        TrainingFault: RecipeInvalid; the adapter is for layers that the base does not have.
    """
    kind, config = _kind(recipe)
    beside = {"ref_model": reference} if reference else {}
    trainer: Trainer = kind(
        args=config,
        model=model,
        train_dataset=train,
        eval_dataset=validation,
        processing_class=tokenizer,
        peft_config=_lora(recipe.adapter, model) if recipe.adapter else None,
        callbacks=callbacks,
        **beside,
    )
    trainer.remove_callback(PrinterCallback)  # the log of events has it
    return trainer


def _kind(recipe: Recipe) -> tuple[type[Trainer], TrainingArguments]:
    numbers = recipe.hyperparameters
    shared = _arguments(recipe) | {"max_length": numbers.max_sequence_length}
    if recipe.method is Method.DPO:
        return PairTrainer, DPOConfig(**shared, beta=numbers.beta)
    is_packed = numbers.packing and recipe.method is Method.SFT
    prepared = {"skip_prepare_dataset": not is_packed}
    return SFTTrainer, SFTConfig(**shared, packing=is_packed, eval_packing=False, dataset_kwargs=prepared)


def _lora(adapter: Adapter, model: PreTrainedModel) -> LoraConfig:
    there = {name.rpartition(".")[2] for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    if missing := set(adapter.target_modules or ()) - there:
        raise TrainingFault(
            Reason.RECIPE_INVALID,
            f"adapter.target_modules: the base has no linear layers {sorted(missing)}. It has {sorted(there)}.",
        )
    modules = "all-linear" if adapter.target_modules is None else list(adapter.target_modules)
    return LoraConfig(
        r=adapter.rank,
        lora_alpha=adapter.alpha,
        lora_dropout=adapter.dropout,
        target_modules=modules,
        task_type="CAUSAL_LM",
    )


def _arguments(recipe: Recipe) -> dict[str, Any]:
    numbers, has_gpu, has_validation = recipe.hyperparameters, torch.cuda.is_available(), bool(recipe.validation)
    return {
        "output_dir": str(Path(recipe.checkpoint.folder) / STAGING),
        "num_train_epochs": numbers.epochs,
        "max_steps": numbers.max_steps or -1,
        "per_device_train_batch_size": numbers.batch_size,
        "per_device_eval_batch_size": numbers.batch_size,
        "gradient_accumulation_steps": numbers.gradient_accumulation,
        "gradient_checkpointing": numbers.gradient_checkpointing,
        "learning_rate": numbers.learning_rate,
        "lr_scheduler_type": "linear",
        "warmup_steps": numbers.warmup_ratio,
        "optim": "adamw_torch",
        "seed": numbers.seed,
        "data_seed": numbers.seed,
        "bf16": has_gpu,
        "use_cpu": not has_gpu,
        "save_strategy": "steps",
        "save_steps": recipe.checkpoint.interval_steps,
        "eval_strategy": "steps" if has_validation else "no",
        "eval_steps": recipe.checkpoint.interval_steps,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "include_num_input_tokens_seen": "non_padding",
        "report_to": "none",
        "disable_tqdm": True,
    }

"""What a run leaves: adapter or model, its twin for llama.cpp, a model card and the lineage. Whole or not there."""

import json
from collections.abc import Mapping
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerFast

from touchstone_finetuning.core import card
from touchstone_finetuning.core.recipe import Recipe
from touchstone_finetuning.training import durable, gguf_adapter
from touchstone_finetuning.training.events import EventLog

ADAPTER_TWIN = "adapter.gguf"
SHARD = "5GB"


def publish(
    recipe: Recipe,
    *,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    metrics: Mapping[str, float],
    steps: int,
    log: EventLog,
) -> Path:
    """Write the artefact of a finished run in its place; returns where it is."""
    output = Path(recipe.output)
    staged = output.with_name(f".{output.name}.partial")
    durable.remove(staged)
    staged.mkdir(parents=True)
    if recipe.adapter is not None:
        _adapter(recipe, model, staged, log)
    else:
        _model(recipe, model, tokenizer, staged, log)
    (staged / "README.md").write_text(card.render(recipe, metrics=metrics, steps=steps), encoding="utf-8")
    (staged / "lineage.json").write_text(json.dumps(dict(recipe.lineage), indent=2, sort_keys=True) + "\n")
    durable.publish(staged, output)
    return output


def _adapter(recipe: Recipe, model: PreTrainedModel, staged: Path, log: EventLog) -> None:
    # A path of this machine says nothing to whoever serves the adapter.
    model.peft_config["default"].base_model_name_or_path = recipe.lineage.get("base", Path(recipe.base).name)
    model.save_pretrained(staged, save_embedding_layers=False)
    (staged / "README.md").unlink(missing_ok=True)
    config = model.get_base_model().config
    family = gguf_adapter.FAMILIES.get(config.model_type)
    if family is None:
        log.note(
            f"There is no {ADAPTER_TWIN}: adapters for models of type {config.model_type!r} cannot be written yet."
        )
        return
    shape = gguf_adapter.Shape(config.num_hidden_layers, config.num_attention_heads, config.num_key_value_heads)
    gguf_adapter.convert(staged, staged / ADAPTER_TWIN, family=family, shape=shape)


def _model(
    recipe: Recipe, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, staged: Path, log: EventLog
) -> None:
    model.save_pretrained(staged, max_shard_size=SHARD)
    tokenizer.save_pretrained(staged)

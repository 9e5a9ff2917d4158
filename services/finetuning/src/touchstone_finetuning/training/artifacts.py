"""What a run leaves: adapter or model, its twin for llama.cpp, a model card and the lineage. Whole or not there."""

import json
from collections.abc import Mapping
from pathlib import Path

from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

from touchstone_finetuning.core import card
from touchstone_finetuning.core.recipe import Recipe
from touchstone_finetuning.training import bases, durable, gguf_adapter, gguf_model
from touchstone_finetuning.training.events import EventLog
from touchstone_finetuning.training.gguf_layout import FAMILIES, Layout, Shape
from touchstone_finetuning.training.gguf_model import FileOrigin, FolderOrigin

ADAPTER_TWIN = "adapter.gguf"
MODEL_TWIN = "model.gguf"
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
    layout = _layout(model.get_base_model().config)
    if layout is None:
        log.note(f"There is no {ADAPTER_TWIN}: none can be written yet for models of this architecture.")
        return
    gguf_adapter.convert(staged, staged / ADAPTER_TWIN, layout)


def _model(
    recipe: Recipe, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, staged: Path, log: EventLog
) -> None:
    model.hf_quantizer = None  # of a base that was dequantised: its weights are plain now
    model.is_quantized = False
    model.save_pretrained(staged, max_shard_size=SHARD)
    tokenizer.save_pretrained(staged)
    layout = _layout(model.config)
    if layout is None:
        log.note(f"There is no {MODEL_TWIN}: none can be written yet for models of this architecture.")
        return
    base = Path(recipe.base)
    try:
        origin = FileOrigin(base) if base.suffix == bases.GGUF else FolderOrigin(model.config, tokenizer, staged)
    except ValueError as reason:
        log.note(f"There is no {MODEL_TWIN}: {reason}.")
        return
    tied = model.config.tie_word_embeddings
    weights = {key: each for key, each in model.state_dict().items() if not (tied and key == "lm_head.weight")}
    gguf_model.write(weights, origin, staged / MODEL_TWIN, layout=layout, kind=recipe.output_quantization)


def _layout(config: PretrainedConfig) -> Layout | None:
    family = FAMILIES.get(config.model_type)
    if family is None:
        return None
    return Layout(family, Shape(config.num_hidden_layers, config.num_attention_heads, config.num_key_value_heads))

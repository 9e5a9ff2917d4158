"""What DPO has taught: the margin of each pair, and how far it goes with length."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from datasets import Dataset
from peft import PeftModel
from trl import DPOTrainer

from touchstone_finetuning.core import preferences
from touchstone_finetuning.core.preferences import LengthBias

MAX_PAIRS = 256
"""Enough for a correlation to be known within 0.12 (its standard error is about 1 / sqrt(n))."""


def length_bias(trainer: DPOTrainer, pairs: Dataset, *, beta: float) -> LengthBias:
    """Measure the bias of a trained model on the first pairs of a dataset."""
    with torch.no_grad():
        return _length_bias(trainer, pairs, beta)


def _length_bias(trainer: DPOTrainer, pairs: Dataset, beta: float) -> LengthBias:
    chosen, rejected, margins = [], [], []
    trainer.model.eval()
    for pair in pairs.select(range(min(MAX_PAIRS, len(pairs)))):
        chosen.append(len(pair["chosen_ids"]))
        rejected.append(len(pair["rejected_ids"]))
        margins.append(_margin(trainer, pair, beta))
    return preferences.length_bias(chosen, rejected, margins)


def _margin(trainer: DPOTrainer, pair: Mapping[str, Sequence[int]], beta: float) -> float:
    """The difference of implicit rewards (Rafailov et al. 2023, section 4)."""
    policy = [_log_likelihood(trainer.model, pair["prompt_ids"], pair[key]) for key in ("chosen_ids", "rejected_ids")]
    with _reference(trainer) as model:
        base = [_log_likelihood(model, pair["prompt_ids"], pair[key]) for key in ("chosen_ids", "rejected_ids")]
    return beta * ((policy[0] - base[0]) - (policy[1] - base[1]))


@contextmanager
def _reference(trainer: DPOTrainer) -> Iterator[torch.nn.Module]:
    if not isinstance(trainer.model, PeftModel):
        yield trainer.ref_model
        return
    with trainer.model.disable_adapter():
        yield trainer.model


def _log_likelihood(model: torch.nn.Module, prompt: Sequence[int], answer: Sequence[int]) -> float:
    ids = torch.tensor([[*prompt, *answer]], device=next(model.parameters()).device)
    logits = model(input_ids=ids).logits[0, len(prompt) - 1 : -1].float()
    return float(logits.log_softmax(-1).gather(-1, ids[0, len(prompt) :, None]).sum())

"""What is done beside the steps of a trainer: tell, seal checkpoints, stop when told."""

import math
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from touchstone_finetuning.core.outcome import Reason
from touchstone_finetuning.core.recipe import Checkpointing
from touchstone_finetuning.training import checkpoints
from touchstone_finetuning.training.events import EventLog
from touchstone_finetuning.training.faults import TrainingFault
from touchstone_finetuning.training.stopping import Preemption

METRICS = {
    "loss": "train_loss",
    "eval_loss": "eval_loss",
    "learning_rate": "learning_rate",
    "grad_norm": "grad_norm",
    "mean_token_accuracy": "token_accuracy",
    "eval_mean_token_accuracy": "eval_token_accuracy",
    "rewards/margins": "reward_margin",
    "rewards/accuracies": "reward_accuracy",
    "eval_rewards/margins": "eval_reward_margin",
    "eval_rewards/accuracies": "eval_reward_accuracy",
}
"""The names of transformers and trl, and ours."""


class Reporting(TrainerCallback):
    """Tells steps and numbers, and ends a run whose numbers are none."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self.last: dict[str, float] = {}
        """The last value of each metric."""
        self.evaluated_step: int | None = None
        """The last step whose weights were measured on held-out data."""

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Take over what was measured before the checkpoint that the run goes on from."""
        for logs in state.log_history:
            for key, value in logs.items():
                if name := METRICS.get(key):
                    self.last[name] = float(value)
            if "eval_loss" in logs:
                self.evaluated_step = int(logs["step"])

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Tell the step."""
        self._log.progress(state.global_step, state.max_steps, float(state.epoch or 0))

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Tell what was measured."""
        for key, value in (logs or {}).items():
            if name := METRICS.get(key):
                self.tell(name, float(value), state.global_step)
        if "eval_loss" in (logs or {}):
            self.evaluated_step = state.global_step
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise TrainingFault(
                Reason.TRAINING_DIVERGED,
                f"The loss of step {state.global_step} is {loss}. Lower hyperparameters.learning_rate, or raise "
                "warmup_ratio.",
            )

    def tell(self, name: str, value: float, step: int) -> None:
        """Tell a number that was measured beside the steps."""
        self._log.metric(name, value, step)
        self.last[name] = value


class Sealing(TrainerCallback):
    """Makes a checkpoint of what the trainer saved aside."""

    def __init__(self, log: EventLog, asked: Checkpointing, *, fingerprint: str) -> None:
        self._log = log
        self._asked = asked
        self._fingerprint = fingerprint

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Seal it."""
        folder = checkpoints.seal(
            Path(str(args.output_dir)) / f"checkpoint-{state.global_step}",
            Path(self._asked.folder),
            step=state.global_step,
            fingerprint=self._fingerprint,
            keep=self._asked.keep,
        )
        self._log.checkpoint(state.global_step, folder)


class Stopping(TrainerCallback):
    """Ends the run after a step, with a checkpoint, once it was told to stop."""

    def __init__(self, preemption: Preemption) -> None:
        self._preemption = preemption

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Look whether it was told."""
        if self._preemption.is_asked:
            control.should_save = True
            control.should_training_stop = True

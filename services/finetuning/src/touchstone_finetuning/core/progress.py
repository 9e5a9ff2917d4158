"""How far a training is, told by the trainer's events. Pure.

An event is one JSON object: `{"kind": "progress", "step": 3, "total_steps": 60, "epoch": 0.2, "time": 1.5}`,
`{"kind": "metric", "name": "train_loss", "value": 1.2, "step": 3}`, `{"kind": "checkpoint", "step": 3}`,
`{"kind": "note", "message": "…"}` or, of a trainer that has not begun, `{"kind": "waiting", "message": "a node: …"}`,
whose message is empty once it has. Kinds that are not known are passed over: trainer and worker may differ in version.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

NOTES_LIMIT = 16


class Stage(StrEnum):
    """What is being done."""

    FETCHING = "Fetching"
    WAITING = "Waiting"
    LOADING = "Loading"
    TRAINING = "Training"
    PUBLISHING = "Publishing"


@dataclass(frozen=True, slots=True)
class Value:
    """A metric's last value."""

    value: float
    step: int


@dataclass(frozen=True, slots=True)
class Pace:
    """Where an attempt began: the first step that it reported, and when, in seconds."""

    step: int
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a training is."""

    stage: Stage = Stage.FETCHING
    waits_for: str = ""
    """What a training in the stage Waiting waits for."""
    step: int = 0
    total_steps: int = 0
    """0 while unknown."""
    epoch: float = 0.0
    remaining_seconds: int = 0
    """0 while unknown."""
    checkpoint_step: int = 0
    metrics: Mapping[str, Value] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    pace: Pace | None = None

    def after(self, event: Mapping[str, Any]) -> "Progress":
        """Take an event in."""
        match event.get("kind"):
            case "progress":
                return self._moved(event)
            case "metric" if event["value"] is not None:
                value = Value(float(event["value"]), int(event["step"]))
                return replace(self, metrics={**self.metrics, str(event["name"]): value})
            case "checkpoint":
                return replace(self, checkpoint_step=int(event["step"]))
            case "waiting":
                waits_for = str(event["message"])
                return replace(self, stage=Stage.WAITING if waits_for else Stage.LOADING, waits_for=waits_for)
            case "note" if str(event["message"]) not in self.notes:
                return replace(self, notes=(*self.notes, str(event["message"]))[-NOTES_LIMIT:])
            case _:
                return self

    def _moved(self, event: Mapping[str, Any]) -> "Progress":
        step, total, time = int(event["step"]), int(event["total_steps"]), float(event["time"])
        pace = self.pace or Pace(step, time)
        done = step - pace.step
        remaining = round((time - pace.time) / done * max(0, total - step)) if done > 0 else 0
        return replace(
            self,
            stage=Stage.TRAINING,
            waits_for="",
            step=step,
            total_steps=total,
            epoch=float(event["epoch"]),
            remaining_seconds=remaining,
            pace=pace,
        )

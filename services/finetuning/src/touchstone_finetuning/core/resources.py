"""What a training may use of a machine, in the quantities of Kubernetes. Pure."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from touchstone_runtime.errors import Violation

GPU_RESOURCE = "nvidia.com/gpu"
MAX_GPUS = 64

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)([numkMGTPE]|[KMGTPE]i)?")
_DEVICE = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_UNITS = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    **{letter: Decimal(1000) ** power for power, letter in enumerate("kMGTPE", 1)},
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", 1)},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpus:
    """Accelerators."""

    count: int
    resource: str = GPU_RESOURCE
    """As the device plugin names them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What one training asks for."""

    cpu: str = ""
    """Cores, as `4` or `500m`. Empty: the platform's default."""
    memory: str = ""
    """Bytes, as `16Gi`. Empty: the platform's default."""
    gpus: Gpus | None = None
    """None: the platform's default."""

    @property
    def threads(self) -> int:
        """Threads for its cores, at least one; 0: it names none."""
        return max(1, math.ceil(quantity(self.cpu))) if self.cpu else 0

    @property
    def memory_bytes(self) -> int:
        """Its memory; 0: it names none."""
        return int(quantity(self.memory)) if self.memory else 0


def quantity(text: str) -> Decimal:
    """Read a quantity.

    Raises:
        ValueError: It is none.
    """
    found = _QUANTITY.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is no quantity, as 500m or 2Gi.")
    return Decimal(found[1]) * _UNITS[found[2] or ""]


def faults(asked: Resources) -> Iterator[Violation]:
    """Check what is asked for; each fault has its field's path in the request."""
    for name, text in (("cpu", asked.cpu), ("memory", asked.memory)):
        if text and not (_QUANTITY.fullmatch(text) and quantity(text) > 0):
            yield Violation(f"spec.resources.{name}", "Must be a quantity above 0, as 500m or 2Gi.")
    if asked.gpus and not 0 <= asked.gpus.count <= MAX_GPUS:
        yield Violation("spec.resources.gpu.count", f"Must be 0 to {MAX_GPUS}.")
    if asked.gpus and not _DEVICE.fullmatch(asked.gpus.resource):
        yield Violation("spec.resources.gpu.resource_name", f"Must be a device plugin's resource, as {GPU_RESOURCE}.")

"""What ends a run: faults with a reason, and what other libraries' errors mean."""

import errno
import sys
from pathlib import Path

from touchstone_finetuning.core.outcome import Fault, Reason

DISK_FULL_NUMBERS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
DISK_FULL_WORDS = ("No space left on device", "Disk quota exceeded", "File too large", "unexpected pos")


class TrainingFault(Exception):
    """The run cannot go on; says why and what to do."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.fault = Fault(reason=reason, message=message)


def explain(error: BaseException) -> Fault:
    """Say what an error means to whoever started the run."""
    for each in _chain(error):
        if isinstance(each, TrainingFault):
            return each.fault
        if _is_disk_full(each):
            return Fault(
                reason=Reason.DISK_FULL,
                message="The disk is full. Free space, or give the run a larger volume, and start it again: "
                "it goes on from its newest checkpoint. A smaller checkpoint.keep needs less.",
            )
        if isinstance(each, _memory_errors()):
            return Fault(
                reason=Reason.OUT_OF_MEMORY,
                message="Memory ended while training. Lower hyperparameters.batch_size (and raise "
                "gradient_accumulation as much), lower max_sequence_length, or set gradient_checkpointing.",
            )
    return Fault(
        reason=Reason.INTERNAL_ERROR,
        message=f"The training program failed with {type(error).__name__}. Its log has the details.",
    )


def _memory_errors() -> tuple[type[BaseException], ...]:
    """A merge has no torch: only where something has loaded it can its error come."""
    torch = sys.modules.get("torch")
    return (MemoryError, torch.OutOfMemoryError) if torch else (MemoryError,)


def _chain(error: BaseException | None) -> list[BaseException]:
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain


def _is_disk_full(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in DISK_FULL_NUMBERS:
        return True
    # torch, tokenizers and safetensors write in C++ and Rust, and their errors have words only.
    return any(words in str(error) for words in DISK_FULL_WORDS)


def base_invalid(path: Path, cause: str) -> TrainingFault:
    """The base is not what can be trained."""
    return TrainingFault(Reason.BASE_MODEL_INVALID, f"The base model {path.name!r}: {cause}")

"""What a run tells at its end, read by whoever watches it."""

from touchstone_finetuning.core import codec
from touchstone_finetuning.core.outcome import ArtifactType, Result


def test_a_result_comes_back_from_json() -> None:
    result = Result(
        folder="/out", size_bytes=3, type=ArtifactType.LORA_ADAPTER, rank=8, metrics={"train_loss": 0.5}, steps=4,
        resumed_from_step=2, peak_memory_bytes=9, tokens_trained=100,
    )  # fmt: skip
    assert codec.from_json(codec.to_json(result), Result) == result

"""`touchstone plan` as a person calls it: no platform runs."""

from pathlib import Path

import pytest
from touchstone_local.cli import app


def test_a_plan_says_what_binds_and_how_many_replicas(capsys: pytest.CaptureFixture[str]) -> None:
    code = app.run([
        "plan", "--model", "llama-3.1-8b", "--chip", "h100-sxm", "--rate", "20", "--ttft-p95", "800", "--itl-p95", "40",
        "--max-num-batched-tokens", "2048",
    ])  # fmt: skip
    said = capsys.readouterr().out
    assert code == 0
    assert "8.03 G parameters, 16.1 GB" in said
    assert "bandwidth" in said
    assert "together" in said
    assert "prefill : " in said
    assert "→" in said


def test_several_chips_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["plan", "--model", "llama-2-7b", "--chip", "l40s", "--chip", "h200"]) == 0
    said = capsys.readouterr().out
    assert said.index("1 x l40s") < said.index("1 x h200")


def test_a_model_is_taken_from_its_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_text(
        '{"hidden_size": 576, "num_attention_heads": 9, "num_hidden_layers": 30, "num_key_value_heads": 3,'
        ' "intermediate_size": 1536, "vocab_size": 49152, "tie_word_embeddings": true}'
    )
    assert app.run(["plan", "--config", str(tmp_path), "--chip", "t4"]) == 0
    assert "0.13 G parameters" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "nope", "--chip", "l4"], "is not known; give its config.json"),
        (["--model", "llama-3.1-70b", "--chip", "l4"], "GB are missing"),
        (["--config", "/dev", "--chip", "l4"], "cannot be read"),
    ],
)
def test_what_cannot_be_planned_is_told_without_a_traceback(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(["plan", *arguments]) == app.EXIT_USAGE
    assert said in capsys.readouterr().err

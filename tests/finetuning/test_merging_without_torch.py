"""The training program where there is no torch: it merges, and says what it lacks to train."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file


def model(folder: Path, **tensors: Any) -> str:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    save_file(tensors, folder / "model.safetensors")
    return str(folder)


def program(workspace: Path, recipe: dict[str, Any]) -> int:
    workspace.mkdir(exist_ok=True)
    (workspace / "recipe.json").write_text(json.dumps(recipe))
    command = [sys.executable, "-m", "touchstone_finetuning.training", "--leash-seconds=60", str(workspace)]
    return subprocess.run(command, check=False, timeout=60).returncode


def test_models_are_merged_as_they_are_kept(tmp_path: Path) -> None:
    one = model(tmp_path / "one", a=np.array([[1.0, 2.0]], np.float16), b=np.array([4.0], np.float32))
    other = model(tmp_path / "other", a=np.array([[3.0, 6.0]], np.float16), b=np.array([0.0], np.float32))
    models = [{"path": one, "weight": 1.0}, {"path": other, "weight": 3.0}]
    output = tmp_path / "work" / "output"
    recipe = {"method": "Merge", "type": "Linear", "models": models, "output": str(output), "lineage": {"base": "x"}}
    assert program(tmp_path / "work", recipe) == 0
    merged = load_file(output / "model.safetensors")
    np.testing.assert_array_equal(merged["a"], np.array([[2.5, 5.0]], np.float16))
    np.testing.assert_array_equal(merged["b"], np.array([1.0], np.float32))
    assert json.loads((tmp_path / "work" / "result.json").read_text())["type"] == "Model"


def test_a_training_says_that_there_is_no_torch(tmp_path: Path) -> None:
    recipe = {
        "method": "SFT", "base": "/base", "train": ["/train.jsonl"], "format": "ChatML", "output": "/out",
        "checkpoint": {"folder": "/checkpoints"},
    }  # fmt: skip
    assert program(tmp_path / "work", recipe) == 1
    fault = json.loads((tmp_path / "work" / "fault.json").read_text())
    assert fault["reason"] == "TrainerMissing"
    assert "touchstone-finetuning[train]" in fault["message"]


def test_a_file_that_is_none_of_safetensors_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text("{}")
    (broken / "model.safetensors").write_bytes(b"\xff" * 32)
    recipe = {"method": "Merge", "type": "Linear", "models": [{"path": str(broken)}], "output": str(tmp_path / "out")}
    assert program(tmp_path / "work", recipe) == 1
    fault = json.loads((tmp_path / "work" / "fault.json").read_text())
    assert (fault["reason"], "model.safetensors is no file of safetensors" in fault["message"]) == (
        "BaseModelInvalid",
        True,
    )

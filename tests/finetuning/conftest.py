"""A conductor over real folders and real processes, with a trainer that has no weights."""

import os
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from touchstone_finetuning.adapters.datasets import FileDatasets
from touchstone_finetuning.adapters.outputs import FolderOutputs
from touchstone_finetuning.adapters.sources import ArtefactSources
from touchstone_finetuning.adapters.subprocess_trainer import SubprocessTrainer
from touchstone_finetuning.adapters.workspaces import FolderWorkspaces
from touchstone_finetuning.core.recipe import Adapter, Format, Method
from touchstone_finetuning.core.recipes import Machine
from touchstone_finetuning.core.spec import Source, TrainingSpec
from touchstone_finetuning.service.conducting import Conductor
from touchstone_runtime.artefacts import Resolver

SCRIPT = Path(__file__).with_name("scripted_trainer.py")


@pytest.fixture
def conductor(tmp_path: Path) -> Conductor:
    """What runs trainings below a folder; the trainer's interpreter finds a torch that is empty."""
    (tmp_path / "libraries").mkdir()
    (tmp_path / "libraries" / "torch.py").touch()
    sources = ArtefactSources(Resolver(tmp_path / "cache"), file_root=tmp_path)
    return Conductor(
        sources=sources,
        datasets=FileDatasets(),
        workspaces=FolderWorkspaces(tmp_path / "runs", retention=timedelta(days=1)),
        trainer=SubprocessTrainer(
            (sys.executable, str(SCRIPT)), environ={**os.environ, "PYTHONPATH": str(tmp_path / "libraries")}
        ),
        outputs=FolderOutputs(sources),
        machine=Machine(threads=1, image="trainer@sha256:1", code_version="1.2.3"),
        stop_seconds=10,
    )


@pytest.fixture
def spec(tmp_path: Path) -> Callable[..., TrainingSpec]:
    """Make the spec of a training by what its trainer is to do."""

    def make(*script: str, **changes: Any) -> TrainingSpec:
        (tmp_path / "base").write_text("\n".join(script))
        (tmp_path / "data.jsonl").write_text('{"messages": []}\n' * 10)
        values: dict[str, Any] = {
            "run": "uid-1",
            "base": Source(uri=f"file://{tmp_path}/base"),
            "method": Method.SFT,
            "adapter": Adapter(rank=4, alpha=8),
            "data": Source(uri=f"file://{tmp_path}/data.jsonl"),
            "format": Format.CHATML,
            "output_uri": f"file://{tmp_path}/out",
        }
        return TrainingSpec(**values | changes)

    return make

"""The example of docs/data/synthesis.md: what the operator reads and sends is what the data service takes."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from touchstone.data.v1 import data_service_pb2 as pb
from touchstone_data.adapters import plugins
from touchstone_data.api import convert
from touchstone_data.core import validation
from touchstone_operator.adapters import data
from touchstone_operator.api.finetunejob import FinetuneJobSpec
from touchstone_operator.ports import Measured, PipelineRequest
from touchstone_runtime.revisions import Digest

PAGE = Path(__file__).parents[2] / "docs" / "data" / "synthesis.md"


@pytest.fixture
def document() -> dict[str, Any]:
    found = re.search(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    read: dict[str, Any] = yaml.safe_load(found[1])
    return read


def faults(document: dict[str, Any]) -> list[str]:
    spec = FinetuneJobSpec.model_validate(document["spec"])
    assert spec.dataset is not None
    assert spec.dataset.pipeline is not None
    serving = Measured(name="chat-0123456789", digest=Digest("sha256:" + "d" * 64))
    models = {model.name: serving for model in spec.dataset.pipeline.models or ()}
    request = PipelineRequest(
        dispatch_id="d", namespace="default", name="triage", pipeline=spec.dataset.pipeline, models=models
    )
    written = pb.StartPipelineRequest(dispatch_id="d", spec=data.pipeline_spec(request))
    return [fault.field for fault in validation.spec_faults(convert.spec_from(written), plugins.installed())]


def test_the_example_is_taken(document: dict[str, Any]) -> None:
    assert faults(document) == []


def test_a_model_that_nobody_named_is_not_taken(document: dict[str, Any]) -> None:
    del document["spec"]["dataset"]["pipeline"]["models"][1]
    assert faults(document) == ["spec.steps[3].parameters.judge.model"]

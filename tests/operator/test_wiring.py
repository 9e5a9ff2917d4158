"""What the operator's settings pass on."""

from typing import Any

import pytest
from touchstone_operator import objects, wiring
from touchstone_operator.reconcile.modeldeployments import ModelDeployments
from touchstone_operator.settings import OperatorSettings
from touchstone_runtime.settings import load

REQUIRED = {
    "TOUCHSTONE_LISTEN": "127.0.0.1:0",
    "TOUCHSTONE_EVALUATION_ADDRESS": "evaluation:50051",
    "TOUCHSTONE_RETRIEVAL_ADDRESS": "retrieval:50051",
    "TOUCHSTONE_DATA_ADDRESS": "data:50051",
    "TOUCHSTONE_FINETUNING_ADDRESS": "finetuning:50051",
    "TOUCHSTONE_INFERENCE_ADDRESS": "router:50051",
}
OUTSIDE: Any = None
"""Nothing is asked of it."""


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_engines_log_as_the_platform_does(log_format: str) -> None:
    """Engines always wrote JSON, whatever the platform was told."""
    settings = load(OperatorSettings, REQUIRED | {"TOUCHSTONE_LOG_FORMAT": log_format})
    found = wiring.reconcilers(settings, OUTSIDE)[objects.MODEL_DEPLOYMENT.name]
    assert isinstance(found, ModelDeployments)
    assert found.platform.environment["TOUCHSTONE_LOG_FORMAT"] == log_format


def test_engines_know_the_registries_of_plain_http() -> None:
    settings = load(OperatorSettings, REQUIRED | {"TOUCHSTONE_PLAIN_HTTP_REGISTRIES": "registry.team:5000, other"})
    found = wiring.reconcilers(settings, OUTSIDE)[objects.MODEL_DEPLOYMENT.name]
    assert isinstance(found, ModelDeployments)
    assert found.platform.environment["TOUCHSTONE_PLAIN_HTTP_REGISTRIES"] == "registry.team:5000,other"

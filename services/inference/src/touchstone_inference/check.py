"""`python -m touchstone_inference.check`: ask a router whether it is well, as `helm test` does.

Lists the models that the caller may use and, if there is one with traffic, has it answer in a few tokens.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from touchstone.inference.v1 import inference_service_pb2 as pb
from touchstone.inference.v1 import inference_service_pb2_grpc as pb_grpc
from touchstone_runtime import channels, process, settings
from touchstone_runtime.errors import Unavailable
from touchstone_runtime.settings import setting

TIMEOUT_SECONDS = 60.0
OUTPUT_TOKENS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSettings:
    """Settings of the check."""

    inference_address: str = setting(example="router:50051")
    """`HOST:PORT` of the router. Required."""
    token_file: Path | None = None
    """Holds the ServiceAccount token for the router. Unset: calls carry none."""


async def check(found: CheckSettings) -> None:
    """Ask for health, for the models, and one of them for an answer.

    Raises:
        DomainError: The router is not well.
    """
    try:
        await _check(found)
    except grpc.aio.AioRpcError as error:
        raise channels.translate(error, "the router") from error


async def _check(found: CheckSettings) -> None:
    async with channels.connect(found.inference_address, token_file=found.token_file) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        stub: Any = pb_grpc.InferenceServiceStub(channel)
        answer = await health.Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_SECONDS, wait_for_ready=True)
        if answer.status != health_pb2.HealthCheckResponse.SERVING:
            raise Unavailable(f"The router at {found.inference_address} does not serve yet. Try again in a moment.")
        models = (await stub.ListModels(pb.ListModelsRequest(), timeout=TIMEOUT_SECONDS)).models
        print(f"The router serves {len(models)} models.")
        for model in models:
            if any(revision.weight_percent for revision in model.revisions):
                print(f"{model.name} says: {await _answer(stub, model.name)}")
                return


async def _answer(stub: Any, model: str) -> str:
    request = pb.GenerateRequest(
        model=model,
        messages=[pb.Message(role=pb.ROLE_USER, content="Say hello.")],
        sampling=pb.Sampling(max_output_tokens=OUTPUT_TOKENS),
    )
    return "".join([part.text async for part in stub.Generate(request, timeout=TIMEOUT_SECONDS)])


if __name__ == "__main__":
    process.run_main(lambda: check(settings.load(CheckSettings)))

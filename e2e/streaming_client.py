"""`python streaming_client.py ADDRESS MODEL TOKEN_FILE ANSWERS`: asks without pause until it is told to end.

As a careful client does: it tries a call again that was refused before any answer, and never one that had begun.
"""

import asyncio
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

import grpc
from touchstone.inference.v1 import inference_service_pb2 as pb
from touchstone.inference.v1 import inference_service_pb2_grpc as pb_grpc
from touchstone_runtime import channels


async def main(address: str, model: str, token_file: Path, answers: Path) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with channels.connect(address, token_file=token_file) as channel:
        stub = pb_grpc.InferenceServiceStub(channel)
        with answers.open("a") as file:
            number = 0
            while not stopped.is_set():
                number += 1
                file.write(json.dumps(await ask(stub, model, number)) + "\n")
                file.flush()


async def ask(stub: Any, model: str, number: int) -> dict[str, Any]:
    request = pb.GenerateRequest(
        model=model,
        messages=[pb.Message(role=pb.ROLE_USER, content=f"Question {number}: what is gold?")],
        sampling=pb.Sampling(max_output_tokens=12),
    )
    began = time.time()
    try:
        parts = [part async for part in stub.Generate(request, timeout=60)]
        error = "" if parts and parts[-1].usage.output_tokens else "the answer has no end"
    except grpc.aio.AioRpcError as failure:
        error = f"{failure.code().name}: {failure.details()}"
    return {"at": began, "seconds": time.time() - began, "error": error}


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])))

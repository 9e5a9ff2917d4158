"""`python bench/scripted_backend.py PORT`: an OpenAI-compatible server whose answers take a fixed time."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

FIRST_SECONDS, EACH_SECONDS, TOKENS = 0.005, 0.001, 32


async def chat(request: Request) -> Response:
    """Answer with so many words, streamed or at once."""
    asked = await request.json()
    count = min(int(asked.get("max_tokens") or asked.get("max_completion_tokens") or TOKENS), TOKENS)
    usage = {"prompt_tokens": 32, "completion_tokens": count, "total_tokens": 32 + count}
    if asked.get("stream"):
        return StreamingResponse(_chunks(count, usage), media_type="text/event-stream")
    await asyncio.sleep(FIRST_SECONDS + EACH_SECONDS * (count - 1))
    message = {"role": "assistant", "content": "word " * count}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return JSONResponse(_head("chat.completion") | {"choices": [choice], "usage": usage})


async def _chunks(count: int, usage: dict[str, int]) -> AsyncIterator[str]:
    for place in range(count):
        await asyncio.sleep(EACH_SECONDS if place else FIRST_SECONDS)
        delta = {"content": f"word{place} "} | ({} if place else {"role": "assistant"})
        yield _event({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    yield _event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage})
    yield "data: [DONE]\n\n"


def _event(fields: dict[str, object]) -> str:
    return f"data: {json.dumps(_head('chat.completion.chunk') | fields)}\n\n"


def _head(kind: str) -> dict[str, object]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1, "model": "scripted"}


async def models(request: Request) -> Response:
    """List the one model."""
    return JSONResponse({"object": "list", "data": [{"id": "scripted", "object": "model", "owned_by": "bench"}]})


async def health(request: Request) -> Response:
    """Say that all is well."""
    return JSONResponse({"status": "ok"})


if __name__ == "__main__":
    routes = [
        Route("/v1/chat/completions", chat, methods=["POST"]),
        Route("/v1/models", models),
        Route("/health", health),
    ]
    uvicorn.run(Starlette(routes=routes), host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False)

"""Queries over HTTP: traces, metrics, log lines as JSON."""

from dataclasses import asdict

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from touchstone_local.collector.core.store import TelemetryStore

DEFAULT_LIMIT = 20
MAX_LIMIT = 5000


def application(store: TelemetryStore) -> Starlette:
    """Return the application over a store."""

    async def traces(request: Request) -> JSONResponse:
        found = store.traces(limit=_limit(request), service=request.query_params.get("service", ""))
        return JSONResponse({"traces": [asdict(each) for each in found]})

    async def trace(request: Request) -> JSONResponse:
        trace_id = request.path_params["trace_id"]
        spans = store.trace(trace_id)
        if not spans:
            return JSONResponse({"message": f"There is no trace '{trace_id}'; it may be forgotten."}, status_code=404)
        return JSONResponse({"spans": [asdict(each) for each in spans]})

    async def metrics(request: Request) -> JSONResponse:
        query = request.query_params
        found = store.metrics(name=query.get("name", ""), service=query.get("service", ""))
        return JSONResponse({"metrics": [asdict(each) for each in found]})

    async def logs(request: Request) -> JSONResponse:
        query = request.query_params
        found = store.logs(limit=_limit(request), trace_id=query.get("trace_id", ""), service=query.get("service", ""))
        return JSONResponse({"logs": [asdict(each) for each in found]})

    return Starlette(
        routes=[
            Route("/traces", traces),
            Route("/traces/{trace_id}", trace),
            Route("/metrics", metrics),
            Route("/logs", logs),
        ]
    )


def _limit(request: Request) -> int:
    """Return how many are asked for; what is no number is the default, what is too large is cut."""
    text = request.query_params.get("limit", "")
    return min(MAX_LIMIT, max(1, int(text))) if text.isdecimal() else DEFAULT_LIMIT

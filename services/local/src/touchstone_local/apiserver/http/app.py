"""The routes of the server, and how errors are answered."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from touchstone_local.apiserver import errors
from touchstone_local.apiserver.http import answers
from touchstone_local.apiserver.http.access import TokenRequired
from touchstone_local.apiserver.http.documents import Documents
from touchstone_local.apiserver.http.resources import Resources

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def create(documents: Documents, resources: Resources, *, token: str) -> ASGIApp:
    """Return the application."""
    routes = [
        *(Route(path, documents.health) for path in ("/healthz", "/readyz", "/livez")),
        Route("/version", documents.version),
        Route("/openapi/v2", documents.openapi_v2),
        Route("/openapi/v3", documents.openapi_v3),
        Route("/openapi/v3/{path:path}", documents.openapi_v3_document),
        Route("/api", documents.core_versions),
        Route("/apis", documents.groups),
        Route("/apis/{group}", documents.group),
        Route("/api/{version}", documents.resources),
        Route("/apis/{group}/{version}", documents.resources),
        Route("/api/{version}/{rest:path}", resources.answer, methods=_METHODS),
        Route("/apis/{group}/{version}/{rest:path}", resources.answer, methods=_METHODS),
    ]
    app = Starlette(
        routes=routes,
        exception_handlers={
            errors.ApiError: _answer_api_error,
            HTTPException: _answer_http_error,
            Exception: _answer_defect,
        },
    )
    app.router.redirect_slashes = False
    return TokenRequired(app, token)


async def _answer_api_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, errors.ApiError):
        raise error
    return answers.json_answer(error.status(), status=error.code)


async def _answer_http_error(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == 405:
        refused = errors.MethodNotAllowed("the server does not allow this method on the requested resource")
        return answers.json_answer(refused.status(), status=refused.code)
    return PlainTextResponse("404 page not found\n", status_code=404)


async def _answer_defect(request: Request, error: Exception) -> Response:
    # uvicorn logs the error itself: Starlette raises it again after this answer.
    defect = errors.ApiError("Internal error occurred: see the log of the API server")
    return answers.json_answer(defect.status(), status=500)

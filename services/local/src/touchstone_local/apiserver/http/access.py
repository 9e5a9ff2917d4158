"""Who may ask: the holder of the bearer token. Health and version are open, as in Kubernetes."""

import hmac

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from touchstone_local.apiserver import errors
from touchstone_local.apiserver.http import answers

OPEN_PATHS = ("/healthz", "/readyz", "/livez", "/version")


class TokenRequired:
    """Refuses requests without the token before anything else looks at them."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http" and not self._is_allowed(scope):
            error = errors.Unauthenticated("Unauthorized")
            await answers.json_answer(error.status(), status=error.code)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_allowed(self, scope: Scope) -> bool:
        given = Headers(scope=scope).get("authorization", "").encode("latin-1")
        return hmac.compare_digest(given, self._expected) or scope["path"] in OPEN_PATHS

"""An annotator's session as a page on this machine: forms without scripts.

Whoever knows the page's address speaks for its annotator: it has a secret in it, and listens on loopback only.
"""

import asyncio
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from urllib.parse import parse_qsl

import jinja2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from touchstone.data.v1 import curation_service_pb2 as pb
from touchstone_runtime.errors import DomainError, FailedPrecondition, Invalid, NotFound, Violation

from touchstone_local import annotating, curating
from touchstone_local.curating import TIMEOUT_SECONDS, Client

HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
}
MAX_FORM_BYTES = 64 * 1024


class Page:
    """One person at one queue."""

    def __init__(self, client: Client, queue: pb.QueueSpec, annotator: str) -> None:
        self._client = client
        self._queue = queue
        self._annotator = annotator
        self._labelled = 0
        self._note = ""
        environment = jinja2.Environment(
            loader=jinja2.PackageLoader("touchstone_local", ""), autoescape=True, undefined=jinja2.StrictUndefined,
            trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip
        self._template = environment.get_template("annotation_page.html.jinja")

    def application(self, secret: str) -> Starlette:
        """Return the application below `/SECRET/`."""
        return Starlette(
            routes=[
                Route(f"/{secret}/", self._show),
                Route(f"/{secret}/label", self._label, methods=["POST"]),
                Route(f"/{secret}/skip", self._skip, methods=["POST"]),
            ]
        )

    async def _show(self, request: Request) -> Response:
        try:
            return await self._page()
        except DomainError as error:
            return HTMLResponse(self._rendered(pb.QueueItem(), note=error.message), 502, HEADERS)

    async def _label(self, request: Request) -> Response:
        form = await _form(request)
        said = {name: form.get(f"field.{name}", "").strip() for name in self._fields()}
        label = annotating.written(self._queue, said) if said else form.get("label", "")
        sent = pb.SubmitAnnotationRequest(
            queue=self._queue.name, item_id=form.get("item_id", ""), annotator=self._annotator, label=label
        )
        answer = await self._sent(self._client.curation.SubmitAnnotation(sent, timeout=TIMEOUT_SECONDS), said)
        self._labelled += answer.status_code == 303 and not self._note
        return answer

    async def _skip(self, request: Request) -> Response:
        form = await _form(request)
        sent = pb.SkipItemRequest(
            queue=self._queue.name,
            item_id=form.get("item_id", ""),
            annotator=self._annotator,
            reason=form.get("reason", ""),
        )
        return await self._sent(self._client.curation.SkipItem(sent, timeout=TIMEOUT_SECONDS), {})

    async def _sent(self, call: Awaitable[object], said: Mapping[str, str]) -> Response:
        """Send what was typed: go on to the next item, or show what is wrong with it."""
        try:
            await curating.answer(call)
        except Invalid as error:
            return await self._page(said, error.violations, status=422)
        except (FailedPrecondition, NotFound) as error:  # the time ran out, or the item was forgotten
            self._note = error.message
        except DomainError as error:
            return HTMLResponse(self._rendered(pb.QueueItem(), note=error.message), 502, HEADERS)
        return RedirectResponse("./", 303, HEADERS)

    async def _page(
        self, said: Mapping[str, str] | None = None, faults: Sequence[Violation] = (), status: int = 200
    ) -> Response:
        """Show the item that the annotator holds, or the next one."""
        claim = pb.ClaimItemRequest(queue=self._queue.name, annotator=self._annotator)
        claimed = await curating.answer(self._client.curation.ClaimItem(claim, timeout=TIMEOUT_SECONDS))
        note, self._note = self._note, ""
        return HTMLResponse(self._rendered(claimed.item, said or {}, faults, note), status, HEADERS)

    def _rendered(
        self,
        item: pb.QueueItem,
        said: Mapping[str, str] | None = None,
        faults: Sequence[Violation] = (),
        note: str = "",
    ) -> str:
        return self._template.render(
            spec=self._queue,
            annotator=self._annotator,
            labelled=self._labelled,
            item_id=item.item_id,
            shown=list(annotating.parts(item)),
            fields=self._fields(),
            said=said or {},
            faults=faults,
            note=note,
        )

    def _fields(self) -> Mapping[str, Mapping[str, object]]:
        return {} if self._queue.choices else annotating.properties(self._queue)


async def serve(client: Client, queue: str, annotator: str, told: Callable[[str], None]) -> None:
    """Serve the page of an annotator on a free loopback port until the process is interrupted.

    Args:
        client: The data service.
        queue: Which queue.
        annotator: Who it is.
        told: Hears the page's address when it can be opened.

    Raises:
        DomainError: What the data service answers.
    """
    request = pb.GetQueueRequest(queue=queue)
    spec = (await curating.answer(client.curation.GetQueue(request, timeout=TIMEOUT_SECONDS))).queue.spec
    secret = secrets.token_urlsafe(24)
    app = Page(client, spec, annotator).application(secret)
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", server_header=False)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        told(f"http://127.0.0.1:{listener.getsockname()[1]}/{secret}/")
        await uvicorn.Server(config).serve(sockets=[listener])
        await asyncio.sleep(0)  # an interrupt that uvicorn gave back is heard here, not by chance later


async def _form(request: Request) -> Mapping[str, str]:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            return {}
    return dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))

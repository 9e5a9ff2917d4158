"""The verbs on objects and collections, from request to answer."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from touchstone_local.apiserver import errors
from touchstone_local.apiserver.builtins import reviews
from touchstone_local.apiserver.changes import Changes, Outcome, Patch
from touchstone_local.apiserver.core import objects, patches, refusals, scaling, strategic
from touchstone_local.apiserver.core.kinds import Kind
from touchstone_local.apiserver.core.objects import JsonObject
from touchstone_local.apiserver.core.options import Warnings, WriteOptions
from touchstone_local.apiserver.deletions import Deletions
from touchstone_local.apiserver.http import answers, bodies, targets
from touchstone_local.apiserver.http.answers import Shape
from touchstone_local.apiserver.http.bodies import Body
from touchstone_local.apiserver.http.targets import Target
from touchstone_local.apiserver.reads import Reads
from touchstone_local.apiserver.registry import Registry
from touchstone_local.apiserver.store import Store
from touchstone_local.apiserver.watching import Watches


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What requests are answered by."""

    store: Store
    registry: Registry
    changes: Changes
    deletions: Deletions
    reads: Reads
    watches: Watches
    now: Callable[[], datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """A request with what it names."""

    request: Request
    kind: Kind
    target: Target
    shape: Shape

    async def body(self) -> Body:
        return bodies.decode(await self.request.body(), self.request.headers.get("content-type", ""))

    def options(self, repeated: tuple[str, ...] = ()) -> WriteOptions:
        return targets.write_options(
            self.request.query_params,
            user_agent=self.request.headers.get("user-agent", ""),
            subresource=self.target.subresource,
            repeated=repeated,
        )


class Resources:
    """Answers requests below /api and /apis that name objects or collections."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._on_object: dict[str, Callable[[_Call], Awaitable[Response]]] = {
            "GET": self._get,
            "PUT": self._replace,
            "PATCH": self._patch,
            "DELETE": self._delete,
        }
        self._on_collection: dict[str, Callable[[_Call], Awaitable[Response]]] = {
            "GET": self._list,
            "POST": self._create,
            "DELETE": self._delete_collection,
        }

    async def answer(self, request: Request) -> Response:
        """Answer one request.

        Raises:
            ApiError: It cannot be done.
        """
        path = request.path_params
        target = targets.parse_path(path.get("group", ""), path["version"], path["rest"])
        kind = self._services.registry.find(target.group, target.version, target.plural)
        if kind is None or (target.subresource and target.subresource not in kind.subresources):
            raise targets.unknown_path()
        shape = answers.choose_shape(
            request.headers.get("accept", ""), include=request.query_params.get("includeObject", "")
        )
        call = _Call(request=request, kind=kind, target=target, shape=shape)
        if kind.is_review:
            return await self._review(call)
        verbs = self._on_object if target.name else self._on_collection
        method = "GET" if request.method == "HEAD" else request.method
        if method not in verbs or (target.subresource and method == "DELETE"):
            raise errors.MethodNotAllowed("the server does not allow this method on the requested resource")
        if kind.is_namespaced and not target.namespace and (target.name or method == "POST"):
            raise targets.unknown_path()
        return await verbs[method](call)

    async def _get(self, call: _Call) -> Response:
        if targets.is_true(call.request.query_params, "watch"):
            return self._watch(call)
        entry = self._services.changes.live(call.kind, call.kind.key(call.target.namespace, call.target.name))
        if call.target.subresource != "scale" and call.shape == Shape() and not call.kind.is_view:
            return answers.raw_answer(entry.encoded)
        return self._object(call, call.kind.served(entry.body))

    async def _list(self, call: _Call) -> Response:
        if targets.is_true(call.request.query_params, "watch"):
            return self._watch(call)
        query = targets.list_query(call.request.query_params, call.kind, call.target)
        page = self._services.reads.list(call.kind, query)
        return answers.raw_answer(answers.list_content(call.kind, page, call.shape, self._services.now()))

    def _watch(self, call: _Call) -> Response:
        query = targets.watch_query(call.request.query_params, call.kind, call.target)
        self._services.watches.check(query)
        encode = answers.event_encoder(call.kind, call.shape, self._services.now)
        stream = self._services.watches.stream(call.kind, query, encode)
        return StreamingResponse(stream, media_type="application/json")

    async def _create(self, call: _Call) -> Response:
        body, warnings = await call.body(), Warnings()
        outcome = self._services.changes.create(
            call.kind, call.target.namespace, bodies.require_object(body), call.options(body.repeated), warnings
        )
        return self._outcome(call, outcome, warnings)

    async def _replace(self, call: _Call) -> Response:
        body, warnings = await call.body(), Warnings()
        key, options = call.kind.key(call.target.namespace, call.target.name), call.options(body.repeated)
        sent = bodies.require_object(body)
        if call.target.subresource == "scale":
            outcome = self._services.changes.patch(call.kind, key, _scaled(call.kind, sent), options, warnings)
        else:
            outcome = self._services.changes.update(call.kind, key, sent, options, warnings)
        return self._outcome(call, outcome, warnings)

    async def _patch(self, call: _Call) -> Response:
        kind = bodies.media_type(call.request.headers.get("content-type", ""))
        body, warnings = await call.body(), Warnings()
        options = call.options(body.repeated)
        key = call.kind.key(call.target.namespace, call.target.name)
        if kind == bodies.APPLY_PATCH:
            if not call.request.query_params.get("fieldManager"):
                raise errors.BadRequest('PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value')
            config = bodies.require_object(body)
            outcome = self._services.changes.apply(call.kind, key, config, options, warnings)
        else:
            patch = _patch_of(kind, body, call.kind)
            if call.target.subresource == "scale":
                patch = _through_scale(call.kind, patch)
            outcome = self._services.changes.patch(call.kind, key, patch, options, warnings)
        return self._outcome(call, outcome, warnings)

    async def _delete(self, call: _Call) -> Response:
        options = targets.delete_options(call.request.query_params, await _delete_body(call))
        warnings = Warnings()
        key = call.kind.key(call.target.namespace, call.target.name)
        deleted = self._services.deletions.delete(call.kind, key, options, warnings)
        if not deleted.is_gone:
            return self._object(call, deleted.obj, warnings=warnings)
        details = {**refusals.details(call.kind, key.name), "uid": objects.uid(deleted.obj)}
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        return answers.json_answer(status, warnings=warnings.texts)

    async def _delete_collection(self, call: _Call) -> Response:
        options = targets.delete_options(call.request.query_params, await _delete_body(call))
        query = targets.list_query(call.request.query_params, call.kind, call.target)
        warnings = Warnings()
        page = self._services.reads.list(call.kind, query)
        for entry in page.entries:
            self._services.deletions.delete(call.kind, entry.key, options, warnings)
        return answers.raw_answer(
            answers.list_content(call.kind, page, call.shape, self._services.now()), warnings=warnings.texts
        )

    async def _review(self, call: _Call) -> Response:
        if call.request.method != "POST" or call.target.name:
            raise errors.MethodNotAllowed("the server does not allow this method on the requested resource")
        review = bodies.require_object(await call.body())
        refusals.check_type(review, call.kind)
        return answers.json_answer(reviews.answer(review), status=201)

    def _outcome(self, call: _Call, outcome: Outcome, warnings: Warnings) -> Response:
        return self._object(call, outcome.obj, status=201 if outcome.is_new else 200, warnings=warnings)

    def _object(self, call: _Call, obj: JsonObject, *, status: int = 200, warnings: Warnings | None = None) -> Response:
        texts = warnings.texts if warnings is not None else ()
        if call.target.subresource == "scale" and call.kind.scale is not None:
            return answers.json_answer(scaling.read(obj, call.kind.scale), status=status, warnings=texts)
        content = answers.object_content(call.kind, obj, call.shape, self._services.now())
        return answers.json_answer(content, status=status, warnings=texts)


async def _delete_body(call: _Call) -> JsonObject:
    content = await call.request.body()
    if not content.strip():
        return {}
    return bodies.require_object(bodies.decode(content, call.request.headers.get("content-type", "")))


def _patch_of(media_type: str, body: Body, kind: Kind) -> Patch:
    if media_type == bodies.JSON_PATCH:
        return partial(patches.json_patch, operations=body.value)
    if media_type == bodies.MERGE_PATCH:
        return partial(patches.merge_patch, patch=bodies.require_object(body))
    if media_type == bodies.STRATEGIC_PATCH and not kind.is_custom:
        return partial(strategic.strategic_merge, patch=bodies.require_object(body), schema=kind.schema)
    accepted = [bodies.JSON_PATCH, bodies.MERGE_PATCH, bodies.APPLY_PATCH]
    if not kind.is_custom:
        accepted.append(bodies.STRATEGIC_PATCH)
    raise errors.UnsupportedMedia(
        f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}"
    )


def _scaled(kind: Kind, scale: JsonObject) -> Patch:
    def patch(obj: JsonObject) -> JsonObject:
        return scaling.write(obj, scale, kind.scale) if kind.scale is not None else obj

    return patch


def _through_scale(kind: Kind, patch: Patch) -> Patch:
    def through(obj: JsonObject) -> JsonObject:
        return scaling.write(obj, patch(scaling.read(obj, kind.scale)), kind.scale) if kind.scale is not None else obj

    return through

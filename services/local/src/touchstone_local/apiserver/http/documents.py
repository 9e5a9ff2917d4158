"""Health, version, discovery and OpenAPI."""

import hashlib
import platform

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from touchstone_local.apiserver import errors
from touchstone_local.apiserver.core import discovery, objects, openapi
from touchstone_local.apiserver.core.objects import JsonObject
from touchstone_local.apiserver.http import answers, targets
from touchstone_local.apiserver.registry import Registry

KUBERNETES_VERSION = "v1.32.0"
"""The version whose API this server serves."""
_PROTOBUF_ONLY = "com.github.proto-openapi"


class Documents:
    """Answers what describes the server. OpenAPI is written once for each state of the registry."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._written: dict[tuple[int, str], bytes] = {}

    async def health(self, request: Request) -> Response:
        """Say that the server is well: it answers only once its state is loaded."""
        return PlainTextResponse("ok")

    async def version(self, request: Request) -> Response:
        """Return the version."""
        _, minor, _ = KUBERNETES_VERSION.split(".")
        return answers.json_answer(
            {
                "major": "1",
                "minor": minor,
                "gitVersion": f"{KUBERNETES_VERSION}+touchstone",
                "gitCommit": "",
                "gitTreeState": "clean",
                "buildDate": "1970-01-01T00:00:00Z",
                "goVersion": "",
                "compiler": platform.python_implementation(),
                "platform": f"{platform.system().lower()}/{platform.machine()}",
            }
        )

    async def core_versions(self, request: Request) -> Response:
        """Answer /api."""
        if answers.wants_aggregated_discovery(request.headers.get("accept", "")):
            return self._aggregated(is_core=True)
        host = request.headers.get("host", "")
        return answers.json_answer(discovery.versions(address=host))

    async def groups(self, request: Request) -> Response:
        """Answer /apis."""
        if answers.wants_aggregated_discovery(request.headers.get("accept", "")):
            return self._aggregated(is_core=False)
        return answers.json_answer(discovery.groups(self._registry.all()))

    async def group(self, request: Request) -> Response:
        """Answer /apis/GROUP."""
        return _found(discovery.group_document(request.path_params["group"], self._registry.all()))

    async def resources(self, request: Request) -> Response:
        """Answer /api/v1 and /apis/GROUP/VERSION."""
        group, version = request.path_params.get("group", ""), request.path_params["version"]
        group_version = f"{group}/{version}" if group else version
        return _found(discovery.resources(group_version, self._registry.all()))

    async def openapi_v2(self, request: Request) -> Response:
        """Answer /openapi/v2, as JSON only."""
        accept = request.headers.get("accept", "")
        if _PROTOBUF_ONLY in accept and "json" not in accept and "*/*" not in accept:
            raise errors.NotAcceptable("only the following media types are accepted: application/json")
        return answers.raw_answer(self._document("v2"))

    async def openapi_v3(self, request: Request) -> Response:
        """Answer /openapi/v3: the index."""
        paths = {
            path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={hashlib.sha256(self._document(path)).hexdigest()}"}
            for path in sorted({_path(kind.api_version) for kind in self._registry.all()})
        }
        return answers.json_answer({"paths": paths})

    async def openapi_v3_document(self, request: Request) -> Response:
        """Answer /openapi/v3/PATH: the document of one group version."""
        path = request.path_params["path"]
        if path not in {_path(kind.api_version) for kind in self._registry.all()}:
            raise targets.unknown_path()
        return answers.raw_answer(self._document(path))

    def _aggregated(self, *, is_core: bool) -> Response:
        document = discovery.aggregated(self._registry.all(), is_core=is_core)
        return answers.json_answer(document, media_type=answers.DISCOVERY_TYPE)

    def _document(self, path: str) -> bytes:
        key = (self._registry.revision, path)
        if key not in self._written:
            self._written = {known: text for known, text in self._written.items() if known[0] == key[0]}
            kinds = self._registry.all()
            if path == "v2":
                document = openapi.document_v2(kinds, version=KUBERNETES_VERSION)
            else:
                chosen = [kind for kind in kinds if _path(kind.api_version) == path]
                document = openapi.document_v3(chosen, version=KUBERNETES_VERSION)
            self._written[key] = objects.encode(document)
        return self._written[key]


def _path(api_version: str) -> str:
    return f"apis/{api_version}" if "/" in api_version else f"api/{api_version}"


def _found(document: JsonObject | None) -> Response:
    if document is None:
        raise targets.unknown_path()
    return answers.json_answer(document)

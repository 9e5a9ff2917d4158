"""A registry in process, for tests: the OCI distribution specification as far as artefacts need it, and its troubles.

It keeps blobs as files, so that it adds nothing to the memory of whom it serves.
"""

import base64
import hashlib
import json
import re
import secrets
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

_CHUNK_BYTES = 256 * 1024
_PATH = re.compile(r"/v2/(?P<repository>.+?)/(?P<what>blobs/uploads|blobs|manifests)/(?P<key>[^/]*)")


class Seen(NamedTuple):
    """A request that came."""

    method: str
    host: str
    path: str
    authorization: str
    range: str


@dataclass(slots=True, kw_only=True)
class Troubles:
    """What goes wrong; each once, but what is said of an attribute otherwise."""

    answers: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    """Statuses to answer with, by the method and a part of the path."""
    break_after: int | None = None
    """Bytes of the next blob after which its connection ends."""
    redirect_blobs_to: str = ""
    """SCHEME://HOST:PORT that all blobs are fetched from. The registry itself serves them there without a login."""
    end_tokens_at: str = ""
    """The method at whose next request all tokens end."""
    challenge: str | None = None
    """What is said of how to log in, always. None: what is right."""
    token_redirect: str = ""
    """Where the token server sends on who asks it, always. Empty: nowhere."""
    token_realm: str = ""
    """Where tokens are said to be given. Empty: at this registry by its name `localhost`."""
    ranges: bool = True
    """Whether parts of blobs are served, always."""


class Registry:
    """A registry on a free port of this machine."""

    def __init__(
        self, folder: Path, *, login: str = "", tokens: bool = False, tls: ssl.SSLContext | None = None
    ) -> None:
        """Begin to serve.

        Args:
            folder: Where blobs lie.
            login: NAME:PASSWORD that is asked for. Empty: none is.
            tokens: Whether the login is shown to a token server, which is this one by its name `localhost`.
            tls: What it serves HTTPS by. None: it speaks plain HTTP.
        """
        self.folder = folder
        self.login = login
        self.has_tokens = tokens
        self.manifests: dict[str, tuple[str, bytes]] = {}
        """Media type and content, by REPOSITORY@REFERENCE."""
        self.seen: list[Seen] = []
        self.troubles = Troubles()
        self.tokens: dict[str, str] = {}
        """Scopes of the tokens that are good."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"registry": self}))
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port: int = self._server.server_address[1]
        self.host = f"127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def blob(self, digest: str) -> Path:
        """Return where a blob lies."""
        return self.folder / digest.removeprefix("sha256:")

    def add_blob(self, content: bytes) -> str:
        """Keep a blob and return its digest."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.blob(digest).write_bytes(content)
        return digest

    def add_manifest(self, repository: str, reference: str, content: bytes, media_type: str) -> str:
        """Keep a manifest by a tag and by its digest, which is returned."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        for each in (reference, digest):
            self.manifests[f"{repository}@{each}"] = (media_type, content)
        return digest

    def requests(self, method: str, part: str) -> list[Seen]:
        """Return the requests of a method whose paths hold a part."""
        return [each for each in self.seen if each.method == method and part in each.path]


class _Handler(BaseHTTPRequestHandler):
    registry: Registry
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its base's name
        """Say nothing."""

    def _serve(self) -> None:
        url, headers = urlsplit(self.path), self.headers
        host = headers.get("Host", "")
        authorization, wanted = headers.get("Authorization", ""), headers.get("Range", "")
        self.registry.seen.append(Seen(self.command, host, url.path, authorization, wanted))
        if url.path == "/token":
            self._give_token()
        elif url.path.startswith("/storage/"):
            self._give_blob(url.path.removeprefix("/storage/"))
        elif (trouble := self._trouble(url.path)) is not None:
            self._refuse(trouble, "TROUBLE")
        elif not self._is_allowed():
            self._ask_for_login()
        elif (found := _PATH.fullmatch(url.path)) is None:
            self._refuse(404, "NAME_UNKNOWN")
        elif found["what"] == "manifests":
            self._manifest(found["repository"], found["key"])
        elif found["what"] == "blobs/uploads":
            self._upload(found["repository"], parse_qs(url.query))
        else:
            self._blob(found["key"])

    def _trouble(self, path: str) -> int | None:
        for (method, part), statuses in self.registry.troubles.answers.items():
            if method == self.command and part in path and statuses:
                return statuses.pop(0)
        return None

    def _is_allowed(self) -> bool:
        registry, said = self.registry, self.headers.get("Authorization", "")
        if registry.troubles.end_tokens_at == self.command:
            registry.troubles.end_tokens_at = ""
            registry.tokens.clear()
        if not registry.login:
            return True
        if not registry.has_tokens:
            return said == f"Basic {base64.b64encode(registry.login.encode()).decode()}"
        scope = registry.tokens.get(said.removeprefix("Bearer "), "")
        actions = scope.rpartition(":")[2].split(",")
        return ("pull" if self.command in ("GET", "HEAD") else "push") in actions

    def _ask_for_login(self) -> None:
        self._body()  # it would be taken for the next request
        realm = self.registry.troubles.token_realm or f"http://localhost:{self.registry.port}/token"
        bearer = f'Bearer realm="{realm}",service="registry, of tests"'
        right = bearer if self.registry.has_tokens else 'Basic realm="registry"'
        said = self.registry.troubles.challenge
        self._refuse(401, "UNAUTHORIZED", {"WWW-Authenticate": right if said is None else said})

    def _give_token(self) -> None:
        body, query = self._body().decode(), urlsplit(self.path).query
        fields = {name: values[0] for name, values in parse_qs(body or query).items()}
        if self.registry.troubles.token_redirect:
            return self._answer(307, b"", {"Location": self.registry.troubles.token_redirect})
        password = self.registry.login.partition(":")[2]
        basic = f"Basic {base64.b64encode(self.registry.login.encode()).decode()}"
        if self.headers.get("Authorization") != basic and fields.get("refresh_token") != password:
            return self._refuse(401, "UNAUTHORIZED")
        token = secrets.token_hex()
        self.registry.tokens[token] = fields["scope"]
        return self._answer(200, json.dumps({"token": token}).encode())

    def _manifest(self, repository: str, reference: str) -> None:
        if self.command == "PUT":
            content = self._body()
            layers = json.loads(content).get("layers", ())
            missing = [layer for layer in layers if not self.registry.blob(layer["digest"]).exists()]
            if missing:
                return self._refuse(400, "MANIFEST_BLOB_UNKNOWN")
            digest = self.registry.add_manifest(repository, reference, content, self.headers["Content-Type"])
            return self._answer(201, b"", {"Docker-Content-Digest": digest})
        media_type, content = self.registry.manifests.get(f"{repository}@{reference}", ("", b""))
        if not content:
            return self._refuse(404, "MANIFEST_UNKNOWN")
        if media_type not in self.headers.get("Accept", ""):
            return self._refuse(404, "MANIFEST_UNKNOWN")
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        return self._answer(200, content, {"Content-Type": media_type, "Docker-Content-Digest": digest})

    def _upload(self, repository: str, query: dict[str, list[str]]) -> None:
        if self.command == "POST":
            place = f"/v2/{repository}/blobs/uploads/{secrets.token_hex(4)}?_state=a%3D%3D"
            return self._answer(202, b"", {"Location": place})
        partial, hashed = self.registry.folder / secrets.token_hex(8), hashlib.sha256()
        remaining = int(self.headers["Content-Length"])
        with partial.open("wb") as file:
            while chunk := self.rfile.read(min(_CHUNK_BYTES, remaining)):
                hashed.update(chunk)
                file.write(chunk)
                remaining -= len(chunk)
        digest = f"sha256:{hashed.hexdigest()}"
        if query.get("digest") != [digest] or query.get("_state") != ["a=="]:
            partial.unlink()
            return self._refuse(400, "DIGEST_INVALID")
        partial.replace(self.registry.blob(digest))
        return self._answer(201, b"")

    def _blob(self, digest: str) -> None:
        if not self.registry.blob(digest).exists():
            return self._refuse(404, "BLOB_UNKNOWN")
        if self.registry.troubles.redirect_blobs_to:
            location = f"{self.registry.troubles.redirect_blobs_to}/storage/{digest}"
            return self._answer(307, b"", {"Location": location})
        return self._give_blob(digest)

    def _give_blob(self, digest: str) -> None:
        path, wanted = self.registry.blob(digest), self.headers.get("Range", "")
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.registry.troubles.ranges else 0
        size = path.stat().st_size
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(size - start))
        self.end_headers()
        if self.command == "HEAD":
            return
        left, self.registry.troubles.break_after = self.registry.troubles.break_after, None
        left = size if left is None else left
        self.close_connection = left < size - start
        with path.open("rb") as file:
            file.seek(start)
            while chunk := file.read(min(_CHUNK_BYTES, left)):
                self.wfile.write(chunk)
                left -= len(chunk)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _refuse(self, status: int, code: str, headers: dict[str, str] | None = None) -> None:
        self.close_connection = True  # of a request whose body was perhaps not read
        self._answer(
            status, json.dumps({"errors": [{"code": code}]}).encode(), {"Connection": "close", **(headers or {})}
        )

    def _answer(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

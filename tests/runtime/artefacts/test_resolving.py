"""Artefacts: fetched once, checked, resumed, never half there."""

import hashlib
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from touchstone_runtime.artefacts import (
    ArtefactCorrupt,
    ArtefactNotFound,
    ArtefactStore,
    ArtefactUnavailable,
    Resolver,
    UriInvalid,
)

CONTENT = bytes(range(256)) * 4096
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Source:
    """A file server that counts, and breaks off when told to."""

    def __init__(self) -> None:
        self.requests: list[str | None] = []
        self.break_after: int | None = None
        source = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wanted = self.headers.get("Range")
                source.requests.append(wanted)
                if "absent" in self.path:
                    self.send_error(404)
                    return
                start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
                self.send_response(206 if wanted else 200)
                self.send_header("Content-Length", str(len(CONTENT) - start))
                self.end_headers()
                body = CONTENT[start:]
                if source.break_after is not None:
                    body, source.break_after = body[: source.break_after], None
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def source() -> Iterator[Source]:
    source = Source()
    yield source
    source.close()


@pytest.fixture
def resolver(tmp_path: Path) -> Resolver:
    return Resolver(tmp_path / "cache")


def test_one_download_serves_ten_who_ask_at_once(source: Source, resolver: Resolver) -> None:
    uri = f"{source.url}/file.bin#sha256={DIGEST}"
    with ThreadPoolExecutor(10) as pool:
        found = list(pool.map(resolver.resolve_sync, [uri] * 10))
    assert len(source.requests) == 1
    assert {each.path.read_bytes() == CONTENT for each in found} == {True}
    assert found[0].path.name == "file.bin"


def test_a_broken_download_goes_on_where_it_broke(source: Source, resolver: Resolver) -> None:
    uri = f"{source.url}/file.bin#sha256={DIGEST}"
    source.break_after = 300_000
    with pytest.raises(ArtefactUnavailable):
        resolver.resolve_sync(uri)
    found = resolver.resolve_sync(uri)
    assert found.path.read_bytes() == CONTENT
    first, second = source.requests
    assert first is None
    assert second is not None
    assert second.startswith("bytes=")


def test_a_known_digest_in_the_cache_needs_no_source(source: Source, resolver: Resolver) -> None:
    found = resolver.resolve_sync(f"{source.url}/file.bin")
    assert found.digest == f"sha256:{DIGEST}"
    again = resolver.resolve_sync(f"http://127.0.0.1:9/file.bin#sha256={DIGEST}")
    assert again.path == found.path


def test_what_has_another_digest_is_refused_and_not_kept(source: Source, resolver: Resolver, tmp_path: Path) -> None:
    with pytest.raises(ArtefactCorrupt, match=DIGEST):
        resolver.resolve_sync(f"{source.url}/file.bin#sha256={'0' * 64}")
    assert not list((tmp_path / "cache").glob("sha256/*/*/*"))


def test_a_damaged_file_in_the_cache_is_fetched_again(source: Source, resolver: Resolver) -> None:
    uri = f"{source.url}/file.bin#sha256={DIGEST}"
    resolver.resolve_sync(uri).path.write_bytes(b"damaged")
    assert resolver.resolve_sync(uri).path.read_bytes() == CONTENT
    assert len(source.requests) == 2


def test_progress_is_told_in_bytes(source: Source, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    resolver = Resolver(tmp_path / "cache", progress=lambda _, done, total: told.append((done, total)))
    resolver.resolve_sync(f"{source.url}/file.bin")
    assert told[-1] == (len(CONTENT), len(CONTENT))


def test_what_is_not_there_is_not_found(source: Source, resolver: Resolver, tmp_path: Path) -> None:
    for uri in (f"{source.url}/absent", f"file://{tmp_path}/absent"):
        with pytest.raises(ArtefactNotFound):
            resolver.resolve_sync(uri)


@pytest.mark.parametrize(
    "uri",
    ["ftp://x/y", "nonsense", "pypi://name/file", "http://x/y#sha256=12", "file://"],
)
def test_an_address_that_cannot_be_read_says_what_is_wrong(resolver: Resolver, uri: str) -> None:
    with pytest.raises(UriInvalid) as caught:
        resolver.resolve_sync(uri)
    assert caught.value.violations[0].field == "uri"


def test_a_folder_is_digested_by_its_files(resolver: Resolver, tmp_path: Path) -> None:
    (tmp_path / "data" / "inner").mkdir(parents=True)
    (tmp_path / "data" / "inner" / "a").write_bytes(b"1")
    first = resolver.resolve_sync(f"file://{tmp_path}/data")
    (tmp_path / "data" / "inner" / "a").write_bytes(b"2")
    assert resolver.resolve_sync(f"file://{tmp_path}/data").digest != first.digest


@pytest.mark.parametrize("uri", ["memory://store", "file://{folder}/store"])
async def test_a_store_keeps_and_forgets_files(uri: str, tmp_path: Path) -> None:
    store = ArtefactStore(uri.format(folder=tmp_path))
    address = await store.put_bytes("runs/1/report.html", b"<p>")
    assert address == store.url("runs/1/report.html")
    assert await store.get_bytes("runs/1/report.html") == b"<p>"
    await store.delete("runs/1")
    assert not await store.exists("runs/1/report.html")
    with pytest.raises(ArtefactNotFound):
        await store.get_bytes("runs/1/report.html")
    with pytest.raises(UriInvalid):
        await store.put_bytes("../outside", b"")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A wheel that pip finds without a network: a model in files, beside files that are not of it."""
    (tmp_path / "wheels").mkdir()
    about = "small_model-1.0.dist-info"
    with zipfile.ZipFile(tmp_path / "wheels" / "small_model-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("small_model/data/config.cfg", "[nlp]")
        wheel.writestr("small_model/data/ner/model", b"weights")
        wheel.writestr("small_model/data-of-others", "other")
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: small-model\nVersion: 1.0\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    return "pypi://small-model==1.0/small_model"


def test_a_folder_of_a_package_is_fetched_whole(package: str, resolver: Resolver) -> None:
    found = resolver.resolve_sync(f"{package}/data/")
    files = {path.relative_to(found.path).as_posix() for path in found.path.rglob("*") if path.is_file()}
    assert files == {"config.cfg", "ner/model"}
    again = resolver.resolve_sync(f"{package}/data/#{found.digest.replace(':', '=')}")
    assert again.path == found.path
    assert resolver.resolve_sync(f"{package}/data/config.cfg").path.read_text() == "[nlp]"


def test_what_a_package_does_not_hold_is_not_found(package: str, resolver: Resolver) -> None:
    for path in ("absent/", "absent", "data"):
        with pytest.raises(ArtefactNotFound, match="holds no"):
            resolver.resolve_sync(f"{package}/{path}")

"""Artefacts from object storage and from a model hub: real clients, servers of the test's own."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import boto3
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from touchstone_runtime.artefacts import (
    ArtefactCorrupt,
    ArtefactNotFound,
    ArtefactStore,
    ArtefactUnavailable,
    CredentialsUnusable,
    Resolver,
)

CONTENT = b"weights" * 50_000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def bucket(object_storage: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket with one object; clients are told the server as in production, by their environment."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", object_storage)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = boto3.client("s3")
    client.create_bucket(Bucket="models")
    client.put_object(Bucket="models", Key="small/model.gguf", Body=CONTENT)
    client.close()
    return "models"


async def test_an_object_is_fetched_checked_and_kept(bucket: str, tmp_path: Path) -> None:
    resolver = Resolver(tmp_path)
    found = await resolver.resolve(f"s3://{bucket}/small/model.gguf#sha256={DIGEST}")
    assert found.path.read_bytes() == CONTENT
    boto3.client("s3").delete_object(Bucket=bucket, Key="small/model.gguf")
    again = await resolver.resolve(f"s3://{bucket}/small/model.gguf#sha256={DIGEST}")
    assert again.path == found.path, "what is here needs no network"


async def test_an_object_that_is_not_there_is_not_found(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(ArtefactNotFound):
        await Resolver(tmp_path).resolve(f"s3://{bucket}/absent")


async def test_a_folder_of_objects_is_fetched_whole_checked_and_kept(bucket: str, tmp_path: Path) -> None:
    client = boto3.client("s3")
    for name in ("config.json", "model.safetensors"):
        client.put_object(Bucket=bucket, Key=f"small/weights/{name}", Body=CONTENT + name.encode())
    found = await Resolver(tmp_path / "a").resolve(f"s3://{bucket}/small/weights/")
    assert sorted(path.name for path in found.path.iterdir()) == ["config.json", "model.safetensors"]
    again = f"s3://{bucket}/small/weights/#{found.digest.replace(':', '=')}"
    client.delete_object(Bucket=bucket, Key="small/weights/config.json")
    assert (await Resolver(tmp_path / "a").resolve(again)).path == found.path, "what is here needs no network"
    with pytest.raises(ArtefactCorrupt):
        await Resolver(tmp_path / "b").resolve(again)


async def test_a_kept_folder_that_was_damaged_is_fetched_again(bucket: str, tmp_path: Path) -> None:
    client = boto3.client("s3")
    client.put_object(Bucket=bucket, Key="small/weights/model.safetensors", Body=CONTENT)
    found = await Resolver(tmp_path).resolve(f"s3://{bucket}/small/weights/")
    (found.path / "model.safetensors").write_bytes(b"half")
    again = await Resolver(tmp_path).resolve(f"s3://{bucket}/small/weights/", digest=found.digest)
    assert (again.path / "model.safetensors").read_bytes() == CONTENT


async def test_an_object_with_another_digest_is_refused(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(ArtefactCorrupt):
        await Resolver(tmp_path).resolve(f"s3://{bucket}/small/model.gguf#sha256={'0' * 64}")


async def test_a_report_is_kept_in_object_storage(bucket: str) -> None:
    uri = await ArtefactStore(f"s3://{bucket}/touchstone").put_bytes("evaluations/d/report.html", b"<html>")
    assert uri == f"s3://{bucket}/touchstone/evaluations/d/report.html"
    kept = boto3.client("s3").get_object(Bucket=bucket, Key="touchstone/evaluations/d/report.html")
    assert kept["Body"].read() == b"<html>"


FILES = ("model.gguf", "model-00001.safetensors", "model-00002.safetensors", "config.json", "modeling_own.py")


class Hub:
    """Serves one repository, all of whose files are alike, as the hub does: metadata by HEAD, the file by GET, ranges included."""

    def __init__(self) -> None:
        self.is_away = False
        self.broken = ""
        """A file that is not given."""
        self.tokens: list[str] = []
        paths = [
            Route("/org/model/resolve/{revision}/{path:path}", self.resolve, methods=["GET", "HEAD"]),
            Route("/api/models/org/model/revision/{revision}", self.repository),
            Route("/api/models/org/model/tree/{revision}", self.tree),
            Route("/{rest:path}", self.unknown, methods=["GET", "HEAD"]),
        ]
        self.app = Starlette(routes=paths)

    async def resolve(self, request: Request) -> Response:
        self.tokens.append(request.headers.get("authorization", ""))
        if self.is_away or request.path_params["path"] == self.broken:
            return Response(status_code=522)  # what the hub's network answers; its client does not insist on it
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{DIGEST}"', "Accept-Ranges": "bytes"}
        if request.path_params["path"] not in FILES:
            return JSONResponse({}, 404, {**headers, "X-Error-Code": "EntryNotFound"})
        return Response(CONTENT, headers=headers)

    async def repository(self, request: Request) -> Response:
        siblings = [{"rfilename": name} for name in FILES]
        return JSONResponse({"id": "org/model", "sha": COMMIT, "siblings": siblings})

    async def tree(self, request: Request) -> Response:
        return JSONResponse([{"type": "file", "path": name, "oid": DIGEST, "size": len(CONTENT)} for name in FILES])

    async def unknown(self, request: Request) -> Response:
        return JSONResponse({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})


@contextlib.asynccontextmanager
async def served(app: Starlette) -> AsyncIterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await serving


async def guarded(request: Request) -> Response:
    """An object of storage that only one team's key opens."""
    is_ours = "Credential=team-a/" in request.headers.get("authorization", "")
    return Response(CONTENT, headers={"ETag": f'"{DIGEST}"'}) if is_ours else Response(status_code=403)


async def test_an_object_is_fetched_with_the_keys_of_a_secret(tmp_path: Path) -> None:
    uri = "s3://models/small/model.gguf"
    async with served(Starlette(routes=[Route("/models/small/model.gguf", guarded, methods=["GET", "HEAD"])])) as url:
        secret = {"AWS_ACCESS_KEY_ID": "team-b", "AWS_SECRET_ACCESS_KEY": "s\n", "AWS_ENDPOINT_URL": url, "else": "x"}
        with pytest.raises(ArtefactUnavailable):
            await Resolver(tmp_path).resolve(uri, credentials=secret)
        found = await Resolver(tmp_path).resolve(uri, credentials={**secret, "AWS_ACCESS_KEY_ID": "team-a"})
    assert found.path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("uri", "secret", "advice"),
    [
        ("hf://org/model", {"token": "t"}, "needs HF_TOKEN"),
        ("hf://org/model", {"HF_TOKEN": " \n"}, "needs HF_TOKEN"),
        ("s3://models/model.gguf", {"AWS_ACCESS_KEY_ID": "team-a"}, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        ("s3://models/model.gguf", {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s", "AWS_ENDPOINT_URL": "x"}, "https://"),
        ("gs://models/model.gguf", {"HF_TOKEN": "t"}, "remove the reference"),
    ],
)  # fmt: skip
async def test_credentials_that_a_source_does_not_take_are_refused_with_what_it_needs(
    tmp_path: Path, uri: str, secret: dict[str, str], advice: str
) -> None:
    with pytest.raises(CredentialsUnusable, match=advice):
        await Resolver(tmp_path).resolve(uri, credentials=secret)


async def test_an_endpoint_of_a_secret_never_sees_the_keys_of_who_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "platform")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    seen: list[str] = []

    async def note(request: Request) -> Response:
        seen.append(request.headers.get("authorization", ""))
        return Response(status_code=403)

    async with served(Starlette(routes=[Route("/{rest:path}", note, methods=["GET", "HEAD"])])) as url:
        with pytest.raises(CredentialsUnusable):
            await Resolver(tmp_path).resolve("s3://models/model.gguf", credentials={"AWS_ENDPOINT_URL": url})
    assert seen == []


@pytest.fixture
async def hub(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hub]:
    found = Hub()
    async with served(found.app) as endpoint:
        # What HF_ENDPOINT does when a process begins.
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
        template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield found


async def fetched(folder: Path, location: str, credentials: Mapping[str, str] | None = None) -> bytes:
    found = await Resolver(folder).resolve(f"hf://{location}", credentials=credentials)
    return found.path.read_bytes()


async def test_a_file_of_a_repository_is_fetched_with_the_secrets_token(hub: Hub, tmp_path: Path) -> None:
    assert await fetched(tmp_path, f"org/model@{COMMIT}/model.gguf", {"HF_TOKEN": "hf_x"}) == CONTENT
    assert set(hub.tokens) == {"Bearer hf_x"}


async def test_half_a_repository_is_not_taken_for_the_whole_when_the_hub_goes_away(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.broken = "model-00002.safetensors"
    with pytest.raises(ArtefactUnavailable):
        await Resolver(tmp_path).resolve(f"hf://org/model@{COMMIT}")
    with monkeypatch.context() as away:
        away.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
        with pytest.raises(ArtefactUnavailable):
            await Resolver(tmp_path).resolve(f"hf://org/model@{COMMIT}")
    hub.broken = ""
    found = await Resolver(tmp_path).resolve(f"hf://org/model@{COMMIT}")
    assert (found.path / "model-00002.safetensors").read_bytes() == CONTENT


async def test_of_a_repository_weights_are_fetched_and_no_code(hub: Hub, tmp_path: Path) -> None:
    found = await Resolver(tmp_path).resolve(f"hf://org/model@{COMMIT}")
    files = sorted(path.relative_to(found.path).as_posix() for path in found.path.rglob("*"))
    assert files == ["config.json", "model-00001.safetensors", "model-00002.safetensors"]
    hub.is_away = True
    again = await Resolver(tmp_path).resolve(f"hf://org/model@{COMMIT}#{found.digest.replace(':', '=')}")
    assert again.path == found.path


@pytest.mark.parametrize("location", ["org/model/absent.gguf", "org/other/model.gguf"])
async def test_what_the_hub_does_not_have_is_not_found(hub: Hub, tmp_path: Path, location: str) -> None:
    with pytest.raises(ArtefactNotFound):
        await fetched(tmp_path, location)


async def test_a_hub_that_is_away_is_asked_again_later(hub: Hub, tmp_path: Path) -> None:
    hub.is_away = True
    with pytest.raises(ArtefactUnavailable):
        await fetched(tmp_path, "org/model/model.gguf")

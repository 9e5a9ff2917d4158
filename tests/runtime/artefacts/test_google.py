"""Artefacts from and to Google's storage: the real client, a server of the test's own."""

import subprocess
import sys
from pathlib import Path

import aiohttp
import fsspec
import google.auth.exceptions
import pytest
from gcsfs.retry import HttpError
from touchstone_runtime.artefacts import ArtefactNotFound, ArtefactStore, Resolver, UriInvalid, remote


async def test_what_is_stored_is_fetched_again(google_storage: str, tmp_path: Path) -> None:
    """No package brought the client: gs:// was an address everywhere, and worked nowhere."""
    store = ArtefactStore(f"{google_storage}/store")
    address = await store.put_bytes("runs/report.json", b"{}")
    assert address == f"{google_storage}/store/runs/report.json"
    assert (await Resolver(tmp_path).resolve(address)).path.read_bytes() == b"{}"
    assert await store.get_bytes("runs/report.json") == b"{}"


async def test_a_folder_is_fetched_whole(google_storage: str, tmp_path: Path) -> None:
    files = fsspec.filesystem("gs")
    for name in ("config.json", "deep/model.safetensors"):
        files.pipe(f"models/weights/{name}", name.encode())
    found = await Resolver(tmp_path).resolve(f"{google_storage}/weights/")
    assert (found.path / "config.json").read_text() == "config.json"
    assert (found.path / "deep" / "model.safetensors").read_text() == "deep/model.safetensors"


async def test_what_is_not_there_is_not_found(google_storage: str, tmp_path: Path) -> None:
    with pytest.raises(ArtefactNotFound):
        await Resolver(tmp_path).resolve(f"{google_storage}/absent")


@pytest.mark.parametrize(
    "error",
    [
        HttpError({"code": 401, "message": "who are you"}),
        google.auth.exceptions.RefreshError("expired"),
        aiohttp.ClientError("gone"),
    ],
)
def test_what_the_client_lets_out_is_an_error_of_a_store(error: Exception) -> None:
    with pytest.raises(OSError, match=str(error)), remote.os_errors():
        raise error


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(ZeroDivisionError), remote.os_errors():
        1 / 0  # noqa: B018


@pytest.mark.parametrize(
    ("uri", "cause"), [("adl://store/x", "cannot be opened"), ("nonsense://x", "is not the address of a store")]
)
def test_a_store_that_nothing_here_can_open_is_refused(uri: str, cause: str) -> None:
    with pytest.raises(UriInvalid, match=cause):
        remote.place(uri)


@pytest.mark.parametrize(("scheme", "module"), [("s3", "s3fs"), ("gs", "gcsfs")])
def test_a_missing_extra_is_named(scheme: str, module: str) -> None:
    script = f"""
import sys
sys.modules[{module!r}] = None  # as where it is not installed
from touchstone_runtime.artefacts import UriInvalid, remote
try:
    remote.place("{scheme}://models/x")
except UriInvalid as error:
    print(error.message)
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert f"needs the extra touchstone-runtime[{scheme}]" in told

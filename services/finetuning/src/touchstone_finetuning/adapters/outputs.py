"""Artefacts as folders by their digest: on this machine, on object storage through fsspec, or in a registry."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from touchstone_runtime import durable, folders
from touchstone_runtime.artefacts import ArtefactUnavailable, caching, registries, remote
from touchstone_runtime.cluster.references import SecretReference, Secrets

from touchstone_finetuning import errors
from touchstone_finetuning.ports import Published, Sources


class FolderOutputs:
    """The outputs port."""

    def __init__(self, sources: Sources, secrets: Secrets) -> None:
        """Prepare.

        Args:
            sources: Says which files of this machine may be written to.
            secrets: Reads the keys of stores.
        """
        self._sources = sources
        self._secrets = secrets

    def check(self, uri: str, credentials: SecretReference | None) -> None:
        """See that an address can be published to: that it may be, and that what its scheme needs is here."""
        secret = self._secrets.read(credentials)
        with _push_failures(uri):
            if uri.startswith("file://"):
                self._sources.own_file(uri)
            elif uri.startswith("oci://"):
                registries.check(uri, secret)
            else:
                remote.place(uri, secret)

    def publish(self, folder: Path, uri: str, credentials: SecretReference | None) -> Published:
        """Copy a folder into one of its own below an address; the same contents are published once."""
        secret = self._secrets.read(credentials)
        if uri.startswith("oci://"):
            with _push_failures(uri):
                pushed = registries.push(folder, uri, secret)
            return Published(f"{pushed.uri}#{pushed.digest.replace(':', '=')}", pushed.digest, pushed.size_bytes)
        digest = caching.digest_folder(folder)
        name = digest.removeprefix("sha256:")
        with _push_failures(uri):
            if uri.startswith("file://"):
                _copy(folder, self._sources.own_file(uri) / name)
            else:
                filesystem, root = remote.place(uri, secret)
                with remote.os_errors():
                    filesystem.put(f"{folder}/", f"{root.rstrip('/')}/{name}/", recursive=True)
        return Published(f"{uri.rstrip('/')}/{name}/#sha256={name}", digest, folders.size_bytes(folder))


@contextmanager
def _push_failures(uri: str) -> Iterator[None]:
    """Raise OutputPushFailed for what a later try may get over."""
    try:
        yield
    except OSError as error:
        raise errors.OutputPushFailed(uri, error.strerror or str(error)) from error
    except ArtefactUnavailable as error:
        raise errors.OutputPushFailed(uri, error.cause) from error


def _copy(folder: Path, target: Path) -> None:
    """Copy a folder so that it is there whole, or not at all."""
    if target.is_dir():
        return
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}.partial")
    try:
        shutil.copytree(folder, partial)
        durable.sync_tree(partial)
        try:
            partial.rename(target)
        except OSError:
            if not target.is_dir():  # another worker was first
                raise
        durable.sync(target.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)

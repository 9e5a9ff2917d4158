"""Artefacts as folders by their digest: on this machine, on object storage through fsspec, or in a registry."""

import shutil
import uuid
from pathlib import Path

from touchstone_runtime import durable, folders
from touchstone_runtime.artefacts import ArtefactUnavailable, caching, registries, remote
from touchstone_runtime.artefacts.credentials import storage_options
from touchstone_runtime.artefacts.remote import Place
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
        try:
            if uri.startswith("file://"):
                self._sources.own_file(uri)
            elif uri.startswith("oci://"):
                registries.check(uri, self._secrets.read(credentials))
            else:
                self._place(uri, credentials)
        except (OSError, ArtefactUnavailable) as error:
            raise errors.OutputPushFailed(uri, _cause(error)) from error

    def publish(self, folder: Path, uri: str, credentials: SecretReference | None) -> Published:
        """Copy a folder into one of its own below an address; the same contents are published once."""
        if uri.startswith("oci://"):
            return self._push(folder, uri, credentials)
        digest = caching.digest_folder(folder)
        name = digest.removeprefix("sha256:")
        try:
            if uri.startswith("file://"):
                _copy(folder, self._sources.own_file(uri) / name)
            else:
                filesystem, root = self._place(uri, credentials)
                with remote.os_errors():
                    filesystem.put(f"{folder}/", f"{root.rstrip('/')}/{name}/", recursive=True)
        except OSError as error:
            raise errors.OutputPushFailed(uri, error.strerror or str(error)) from error
        return Published(f"{uri.rstrip('/')}/{name}/#sha256={name}", digest, folders.size_bytes(folder))

    def _place(self, uri: str, credentials: SecretReference | None) -> Place:
        return remote.place(uri, **storage_options(uri, self._secrets.read(credentials)))

    def _push(self, folder: Path, uri: str, credentials: SecretReference | None) -> Published:
        """Publish a folder as a manifest of a repository."""
        try:
            pushed = registries.push(folder, uri, self._secrets.read(credentials))
        except ArtefactUnavailable as error:
            raise errors.OutputPushFailed(uri, _cause(error)) from error
        return Published(f"{pushed.uri}#{pushed.digest.replace(':', '=')}", pushed.digest, pushed.size_bytes)


def _cause(error: OSError | ArtefactUnavailable) -> str:
    return error.cause if isinstance(error, ArtefactUnavailable) else error.strerror or str(error)


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

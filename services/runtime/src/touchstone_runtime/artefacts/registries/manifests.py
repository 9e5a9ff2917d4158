"""Manifests: which files an artefact holds. Pure.

As the OCI image specification 1.1 says it ("Guidelines for Artifact Usage"): an artefact's type, the empty
configuration, one layer a file; and as ORAS names files: by the annotation `org.opencontainers.image.title`. What is
written depends on the files alone, so that the same folder is the same manifest.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from touchstone_runtime.artefacts import uris
from touchstone_runtime.artefacts.faults import ArtefactUnusable

ARTEFACT_TYPE = "application/vnd.touchstone.model.v1"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
ACCEPTED = (
    MANIFEST,
    INDEX,
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
"""What is asked for: of Docker's own kinds too, to say what they are."""
EMPTY = b"{}"
EMPTY_DIGEST = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
"""Of the empty configuration; the specification gives both."""
_TITLE = "org.opencontainers.image.title"
_UNPACK = "io.deis.oras.content.unpack"
"""Set by ORAS where a layer is the tar of a folder."""
_ADVICE = "Push the files of the folder from within it: oras push REGISTRY/REPOSITORY:TAG FILE…"


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of an artefact."""

    path: PurePosixPath
    """Below the artefact's folder."""
    digest: str
    size_bytes: int


def write(files: Iterable[File]) -> bytes:
    """Write the manifest of files, in the order of their paths."""
    layers = [
        {
            "mediaType": "application/octet-stream",
            "digest": file.digest,
            "size": file.size_bytes,
            "annotations": {_TITLE: str(file.path)},
        }
        for file in sorted(files, key=lambda file: file.path)
    ]
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": ARTEFACT_TYPE,
        "config": {
            "mediaType": "application/vnd.oci.empty.v1+json",
            "digest": EMPTY_DIGEST,
            "size": len(EMPTY),
            "data": "e30=",
        },
        "layers": layers,
    }
    return json.dumps(document, separators=(",", ":")).encode()


def chosen(content: bytes, uri: str) -> str:
    """Return the digest of the one manifest of ours that an index lists; empty: it is no index.

    Raises:
        ArtefactUnusable: It lists none of ours, or several.
    """
    document = _document(content, uri)
    if "manifests" not in document:
        return ""
    try:
        found = [str(each["digest"]) for each in document["manifests"] if each.get("artifactType") == ARTEFACT_TYPE]
    except (KeyError, TypeError, AttributeError) as error:
        raise ArtefactUnusable(uri, "its index cannot be read", "Check what was pushed") from error
    if len(found) != 1 or not uris.DIGEST.fullmatch(found[0]):
        cause = f"it is an index with {len(found)} manifests of the type {ARTEFACT_TYPE}"
        raise ArtefactUnusable(uri, cause, "Name the one that is meant by its digest: REPOSITORY@sha256:MANIFEST")
    return found[0]


def read(content: bytes, uri: str) -> tuple[File, ...]:
    """Read the files of a manifest.

    Raises:
        ArtefactUnusable: It is none with a title for every file, or a title leads out of the folder.
    """
    document = _document(content, uri)
    try:
        files = tuple(_file(layer, uri) for layer in document["layers"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ArtefactUnusable(uri, "its manifest cannot be read", "Check what was pushed") from error
    if not files:
        raise ArtefactUnusable(uri, "it holds no files", _ADVICE)
    _check_paths(files, uri)
    return files


def _document(content: bytes, uri: str) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except ValueError as error:
        raise ArtefactUnusable(uri, "its manifest is not JSON", "Check the address") from error
    if not isinstance(document, dict):
        raise ArtefactUnusable(uri, "its manifest is not an object", "Check the address")
    return document


def _file(layer: dict[str, Any], uri: str) -> File:
    annotations = layer.get("annotations") or {}
    title, digest, size = annotations.get(_TITLE), layer["digest"], layer["size"]
    if not title:
        raise ArtefactUnusable(uri, "it holds a layer without a title, as images of containers do", _ADVICE)
    if annotations.get(_UNPACK) == "true":
        raise ArtefactUnusable(uri, f"it holds the folder {title!r} as an archive", _ADVICE)
    path = PurePosixPath(title)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in title:
        raise ArtefactUnusable(uri, f"its file {title!r} would lie outside the artefact's folder", _ADVICE)
    if not uris.DIGEST.fullmatch(digest) or not isinstance(size, int) or size < 0:
        raise ArtefactUnusable(uri, f"its file {title!r} has no sha256 digest and size", _ADVICE)
    return File(path=path, digest=digest, size_bytes=size)


def _check_paths(files: Sequence[File], uri: str) -> None:
    """Refuse two files at one place, and a file where another has a folder."""
    paths = {file.path for file in files}
    folders = {parent for path in paths for parent in path.parents}
    if len(paths) < len(files) or paths & folders:
        raise ArtefactUnusable(uri, "two of its files have the same path", _ADVICE)

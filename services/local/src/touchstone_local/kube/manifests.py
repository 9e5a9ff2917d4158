"""Kubernetes objects in YAML files."""

from collections.abc import Iterable
from pathlib import Path

import yaml

from touchstone_local import fields
from touchstone_local.errors import ManifestInvalid
from touchstone_local.fields import Object

SUFFIXES = (".yaml", ".yml", ".json")
_FIRST = ("Namespace", "CustomResourceDefinition", "ConfigMap", "Secret")


def load(path: Path) -> list[Object]:
    """Return the objects of a file, or of the files of a folder, in the order in which they are applied.

    Raises:
        ManifestInvalid: The path does not exist, is not YAML, or holds something else than objects.
    """
    if not path.exists():
        raise ManifestInvalid(str(path), "does not exist; give a YAML file or a folder of them")
    files = sorted(child for child in path.rglob("*") if child.suffix in SUFFIXES) if path.is_dir() else [path]
    if not files:
        raise ManifestInvalid(str(path), f"holds no file that ends in {', '.join(SUFFIXES)}")
    return in_order(obj for file in files for obj in parse(file.read_text(encoding="utf-8"), source=str(file)))


def parse(text: str, *, source: str) -> list[Object]:
    """Return the objects of a YAML text; Lists are opened.

    Raises:
        ManifestInvalid: The text is not YAML, or holds something else than objects.
    """
    try:
        documents = [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError as error:
        raise ManifestInvalid(source, f"is not YAML: {error}") from error
    found: list[Object] = []
    for index, document in enumerate(documents):
        found.extend(_open(document, source=f"{source}[{index}]"))
    return found


def in_order(objects: Iterable[Object]) -> list[Object]:
    """Return the objects with those that others refer to first; otherwise the order is kept. Pure."""
    return sorted(objects, key=_rank)


def _rank(obj: Object) -> int:
    kind = fields.text(obj, "kind")
    return _FIRST.index(kind) if kind in _FIRST else len(_FIRST)


def _open(document: object, *, source: str) -> list[Object]:
    if not isinstance(document, dict) or not fields.text(document, "kind") or not fields.text(document, "apiVersion"):
        raise ManifestInvalid(source, "is not a Kubernetes object; it needs apiVersion, kind and metadata.name")
    if fields.text(document, "kind").endswith("List") and "items" in document:
        return [obj for item in fields.items(document, "items") for obj in _open(item, source=source)]
    if not fields.name(document):
        raise ManifestInvalid(source, "has no metadata.name; name the object")
    return [document]

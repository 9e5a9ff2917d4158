"""Reads kinds.yaml and schemas.yaml into kinds, once at the start."""

from importlib import resources
from typing import cast

import yaml

from touchstone_local.apiserver.builtins.columns import COLUMNS
from touchstone_local.apiserver.builtins.notation import Types
from touchstone_local.apiserver.core import crds, kinds, metadata, roots
from touchstone_local.apiserver.core.kinds import Kind
from touchstone_local.apiserver.core.objects import JsonObject


def load() -> list[Kind]:
    """Return the built-in kinds."""
    types = Types(cast("JsonObject", _read("schemas.yaml")))
    return [_kind(entry, types) for entry in cast("list[JsonObject]", _read("kinds.yaml"))]


def _read(name: str) -> object:
    text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    return yaml.safe_load(text)


def _kind(entry: JsonObject, types: Types) -> Kind:
    declared = {**types.structure(entry["fields"]), "description": entry["description"]}
    storage = f"{entry['group']}/{entry['plural']}"
    return Kind(
        group=entry["group"],
        version=entry["version"],
        kind=entry["kind"],
        list_kind=f"{entry['kind']}List",
        plural=entry["plural"],
        singular=entry["kind"].lower(),
        schema=roots.compile_whole(declared),
        short_names=tuple(entry.get("shortNames", ())),
        categories=tuple(entry.get("categories", ())),
        description=entry["description"],
        is_namespaced=entry.get("namespaced", True),
        has_status=entry.get("status", False),
        has_generation=entry.get("generation", False),
        is_review=entry.get("review", False),
        is_graceful=entry.get("deletion") == "graceful",
        deletion_default=kinds.ORPHAN if entry.get("deletion") == "orphan" else kinds.BACKGROUND,
        scale=crds.scale_of(entry["scale"]) if "scale" in entry else None,
        columns=COLUMNS.get(storage, ()),
        selectable=tuple(entry.get("selectable", ())),
        name_rule=metadata.label if entry.get("name") == "label" else metadata.subdomain,
        stored_as=entry.get("storedAs", ""),
        stored_version="v1" if entry.get("storedAs") else "",
        renames=entry.get("renames", {}),
    )

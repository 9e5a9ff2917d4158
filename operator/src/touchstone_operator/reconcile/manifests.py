"""Manifests of revisions from their ConfigMaps."""

from collections.abc import Iterable

from touchstone_runtime.revisions import MANIFEST_KEY, Manifest, ManifestInvalid

from touchstone_operator.objects import JsonObject


def read(config_maps: Iterable[JsonObject]) -> dict[str, Manifest]:
    """Read manifests, newest first. One that does not hash to its digest is left out: it is no revision."""
    newest_first = sorted(
        config_maps,
        key=lambda obj: (obj["metadata"].get("creationTimestamp", ""), obj["metadata"]["name"]),
        reverse=True,
    )
    found = {}
    for obj in newest_first:
        try:
            found[obj["metadata"]["name"]] = Manifest.from_json((obj.get("data") or {}).get(MANIFEST_KEY, ""))
        except ManifestInvalid:
            continue
    return found

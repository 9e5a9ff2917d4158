"""The rules of what only holds something: Namespace, ConfigMap, Secret, Service. Pure."""

import base64
import binascii
import re
from collections.abc import Iterator

from touchstone_local.apiserver.builtins.behaviours import Behaviour
from touchstone_local.apiserver.core import faults, objects
from touchstone_local.apiserver.core.faults import Fault, join
from touchstone_local.apiserver.core.objects import JsonObject

NAMESPACES = "/namespaces"
CONTENT_LIMIT_BYTES = 1024 * 1024
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")


def _prepare_namespace(obj: JsonObject, live: JsonObject | None) -> None:
    if live is None:
        obj["spec"] = {"finalizers": ["kubernetes"]}
        obj["status"] = {"phase": "Active"}
    else:
        obj["spec"] = objects.clone(live.get("spec") or {})
    metadata = objects.meta(obj)
    labels = metadata.get("labels") or {}
    metadata["labels"] = {**labels, "kubernetes.io/metadata.name": metadata.get("name", "")}


def _mark_namespace(obj: JsonObject, live: JsonObject | None) -> None:
    obj["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}


def _prepare_secret(obj: JsonObject, live: JsonObject | None) -> None:
    texts = obj.pop("stringData", None)
    if isinstance(texts, dict):
        encoded = {key: base64.b64encode(str(text).encode()).decode() for key, text in texts.items()}
        obj["data"] = {**(obj.get("data") or {}), **encoded}


class _Keyed:
    """The rules of a kind that holds values by key and can be immutable."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names

    def __call__(self, obj: JsonObject, live: JsonObject | None) -> Iterator[Fault]:
        for name in self._names:
            for key in obj.get(name) or {}:
                if not _KEY.fullmatch(key) or key in (".", ".."):
                    detail = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
                    yield faults.invalid(f"{name}[{key}]", key, detail)
        size = sum(len(str(value)) for name in self._names for value in (obj.get(name) or {}).values())
        if size > CONTENT_LIMIT_BYTES:
            yield Fault(
                "FieldValueTooLong", self._names[0], f"Too long: may not be more than {CONTENT_LIMIT_BYTES} bytes"
            )
        if live is not None and live.get("immutable"):
            yield from self._changes(obj, live)

    def _changes(self, obj: JsonObject, live: JsonObject) -> Iterator[Fault]:
        if not obj.get("immutable"):
            yield faults.forbidden("immutable", "field is immutable when `immutable` is set")
        for name in self._names:
            if not objects.is_equal(obj.get(name) or {}, live.get(name) or {}):
                yield faults.forbidden(name, "field is immutable when `immutable` is set")


def _validate_config_map(obj: JsonObject, live: JsonObject | None) -> Iterator[Fault]:
    yield from _Keyed(("data", "binaryData"))(obj, live)
    yield from _base64(obj, "binaryData")


def _validate_secret(obj: JsonObject, live: JsonObject | None) -> Iterator[Fault]:
    yield from _Keyed(("data",))(obj, live)
    yield from _base64(obj, "data")
    if live is not None and obj.get("type") != live.get("type"):
        yield faults.invalid("type", obj.get("type"), "field is immutable")


def _base64(obj: JsonObject, name: str) -> Iterator[Fault]:
    for key, value in (obj.get(name) or {}).items():
        try:
            base64.b64decode(value, validate=True)
        except binascii.Error:
            yield faults.invalid(f"{name}[{key}]", "", "illegal base64 data")


def _prepare_service(obj: JsonObject, live: JsonObject | None) -> None:
    for port in objects.at(obj, "spec", "ports") or []:
        port.setdefault("targetPort", port.get("port"))


def _validate_service(obj: JsonObject, live: JsonObject | None) -> Iterator[Fault]:
    spec = obj.get("spec") or {}
    ports = spec.get("ports") or []
    if not ports and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        yield faults.required("spec.ports")
    for index, port in enumerate(ports):
        if len(ports) > 1 and not port.get("name"):
            yield faults.required(join(f"spec.ports[{index}]", "name"))


BEHAVIOURS = {
    NAMESPACES: Behaviour(
        prepare=_prepare_namespace,
        mark_deleted=_mark_namespace,
        holds_deletion=lambda obj: bool(objects.at(obj, "spec", "finalizers")),
    ),
    "/configmaps": Behaviour(validate=_validate_config_map),
    "/secrets": Behaviour(prepare=_prepare_secret, validate=_validate_secret),
    "/services": Behaviour(prepare=_prepare_service, validate=_validate_service),
}

"""A container's environment variables, from literals and references. Pure."""

import base64
from collections.abc import Mapping
from typing import Protocol

from touchstone_local import fields
from touchstone_local.fields import Object
from touchstone_local.kubelet.core import expansion, quantities


class Unresolved(Exception):
    """A reference that leads nowhere yet; the message says which one."""


class Sources(Protocol):
    """The ConfigMaps and Secrets of the Pod's namespace, by name; None for one that does not exist."""

    def config_map(self, name: str) -> Object | None:
        """Return a ConfigMap."""
        ...

    def secret(self, name: str) -> Object | None:
        """Return a Secret."""
        ...


def references(container: Object) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of the ConfigMaps and of the Secrets that a container reads."""
    config_maps = {fields.text(entry, "configMapRef", "name") for entry in fields.items(container, "envFrom")}
    secrets = {fields.text(entry, "secretRef", "name") for entry in fields.items(container, "envFrom")}
    for entry in fields.items(container, "env"):
        config_maps.add(fields.text(entry, "valueFrom", "configMapKeyRef", "name"))
        secrets.add(fields.text(entry, "valueFrom", "secretKeyRef", "name"))
    return frozenset(config_maps - {""}), frozenset(secrets - {""})


def resolve(container: Object, pod: Object, *, pod_ip: str, sources: Sources) -> dict[str, str]:
    """Return a container's variables.

    Args:
        container: The container of the Pod's specification.
        pod: The Pod.
        pod_ip: Its address, which its status may not hold yet.
        sources: Where references lead.

    Raises:
        Unresolved: A ConfigMap, a Secret or a key is missing and not optional, or a field is unknown.
    """
    variables: dict[str, str] = {}
    for entry in fields.items(container, "envFrom"):
        variables.update(_all_of(entry, sources))
    for entry in fields.items(container, "env"):
        name = fields.text(entry, "name")
        if "valueFrom" not in entry:
            variables[name] = expansion.expand(fields.text(entry, "value"), variables)
            continue
        value = _referenced(fields.mapping(entry, "valueFrom"), container, pod, pod_ip=pod_ip, sources=sources)
        if value is not None:
            variables[name] = value
    return variables


def _all_of(entry: Object, sources: Sources) -> dict[str, str]:
    prefix = fields.text(entry, "prefix")
    if "secretRef" in entry:
        data = _secret_data(fields.mapping(entry, "secretRef"), sources)
    else:
        data = _config_data(fields.mapping(entry, "configMapRef"), sources)
    return {f"{prefix}{key}": value for key, value in (data or {}).items()}


def _referenced(source: Object, container: Object, pod: Object, *, pod_ip: str, sources: Sources) -> str | None:
    if "fieldRef" in source:
        return _field(fields.text(source, "fieldRef", "fieldPath"), pod, pod_ip=pod_ip)
    if "resourceFieldRef" in source:
        return _resource(fields.mapping(source, "resourceFieldRef"), container)
    if "configMapKeyRef" in source:
        reference = fields.mapping(source, "configMapKeyRef")
        return _key(reference, _config_data(reference, sources), kind="ConfigMap")
    if "secretKeyRef" in source:
        reference = fields.mapping(source, "secretKeyRef")
        return _key(reference, _secret_data(reference, sources), kind="Secret")
    raise Unresolved(f"the source {', '.join(source)} is not supported here")


def _key(reference: Object, data: Mapping[str, str] | None, *, kind: str) -> str | None:
    key, name = fields.text(reference, "key"), fields.text(reference, "name")
    if data is not None and key in data:
        return data[key]
    if fields.flag(reference, "optional"):
        return None
    raise Unresolved(f"couldn't find key {key} in {kind} {name}")


def _config_data(reference: Object, sources: Sources) -> Mapping[str, str] | None:
    name = fields.text(reference, "name")
    found = sources.config_map(name)
    if found is None:
        return _absent(reference, f'configmap "{name}" not found')
    return fields.texts(found, "data")


def _secret_data(reference: Object, sources: Sources) -> Mapping[str, str] | None:
    name = fields.text(reference, "name")
    found = sources.secret(name)
    if found is None:
        return _absent(reference, f'secret "{name}" not found')
    encoded = fields.texts(found, "data")
    return {key: base64.b64decode(value).decode(errors="replace") for key, value in encoded.items()}


def _absent(reference: Object, message: str) -> Mapping[str, str] | None:
    if fields.flag(reference, "optional"):
        return None
    raise Unresolved(message)


def _field(path: str, pod: Object, *, pod_ip: str) -> str:
    known = {
        "metadata.name": fields.name(pod),
        "metadata.namespace": fields.namespace(pod),
        "metadata.uid": fields.uid(pod),
        "spec.nodeName": fields.text(pod, "spec", "nodeName"),
        "spec.serviceAccountName": fields.text(pod, "spec", "serviceAccountName", default="default"),
        "status.podIP": pod_ip,
        "status.podIPs": pod_ip,
        "status.hostIP": pod_ip,
    }
    for kind in ("labels", "annotations"):
        opening = f"metadata.{kind}['"
        if path.startswith(opening) and path.endswith("']"):
            return fields.text(pod, "metadata", kind, path.removeprefix(opening).removesuffix("']"))
    if path not in known:
        raise Unresolved(f"the field {path} is not supported here")
    return known[path]


def _resource(reference: Object, container: Object) -> str:
    path = fields.text(reference, "resource")
    group, _, resource = path.partition(".")
    value = fields.text(container, "resources", group, resource)
    if not value:
        raise Unresolved(f"the container sets no {path}")
    return quantities.in_units(value, fields.text(reference, "divisor"))

"""The rules of what runs: Pod, Deployment, ReplicaSet, Job. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from touchstone_local.apiserver.builtins.behaviours import Behaviour
from touchstone_local.apiserver.core import faults, metadata, objects
from touchstone_local.apiserver.core.faults import Fault
from touchstone_local.apiserver.core.objects import JsonObject, JsonValue

_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_RESTART_POLICIES = ("Always", "OnFailure", "Never")
_CHANGEABLE = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates")


def _complete_pod_spec(spec: JsonValue) -> None:
    if not isinstance(spec, dict):
        return
    for group in ("containers", "initContainers"):
        for container in spec.get(group) or []:
            image = str(container.get("image", ""))
            tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2]
            is_floating = tag in ("", "latest") and "@" not in image
            container.setdefault("imagePullPolicy", "Always" if is_floating else "IfNotPresent")


def _pod_spec_faults(spec: JsonObject, field: str) -> Iterator[Fault]:
    if not spec.get("containers"):
        yield faults.required(f"{field}.containers")
    names: set[str] = set()
    for group in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(group) or []):
            path = f"{field}.{group}[{index}]"
            yield from _container_faults(container, path)
            if container["name"] in names:
                yield faults.duplicate(f"{path}.name", container["name"])
            names.add(container["name"])
    volumes = [volume["name"] for volume in spec.get("volumes") or []]
    for index, name in enumerate(volumes):
        if name in volumes[:index]:
            yield faults.duplicate(f"{field}.volumes[{index}].name", name)
    if spec.get("restartPolicy") not in _RESTART_POLICIES:
        yield faults.unsupported(f"{field}.restartPolicy", spec.get("restartPolicy"), _RESTART_POLICIES)


def _container_faults(container: JsonObject, path: str) -> Iterator[Fault]:
    if why := metadata.label(container["name"]):
        yield faults.invalid(f"{path}.name", container["name"], why)
    if not container.get("image"):
        yield faults.required(f"{path}.image")
    if container.get("imagePullPolicy") not in _PULL_POLICIES:
        yield faults.unsupported(f"{path}.imagePullPolicy", container.get("imagePullPolicy"), _PULL_POLICIES)
    for index, port in enumerate(container.get("ports") or []):
        if not 0 < port["containerPort"] < 65536:
            detail = "must be between 1 and 65535, inclusive"
            yield faults.invalid(f"{path}.ports[{index}].containerPort", port["containerPort"], detail)


def _prepare_pod(obj: JsonObject, live: JsonObject | None) -> None:
    _complete_pod_spec(obj.get("spec"))
    if live is None:
        obj["status"] = {"phase": "Pending", "qosClass": "BestEffort"}


def _validate_pod(obj: JsonObject, live: JsonObject | None) -> Iterator[Fault]:
    yield from _pod_spec_faults(obj.get("spec") or {}, "spec")
    if live is not None and not objects.is_equal(_fixed_part(obj), _fixed_part(live)):
        yield faults.forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`, `spec.initContainers[*].image`, "
            "`spec.activeDeadlineSeconds`, `spec.tolerations` (only additions to existing tolerations), "
            "`spec.terminationGracePeriodSeconds`",
        )
    node = objects.at(live, "spec", "nodeName")
    if node and objects.at(obj, "spec", "nodeName") != node:
        yield faults.forbidden("spec.nodeName", "may not be changed once it is set")


def _fixed_part(pod: JsonObject) -> JsonObject:
    spec = {key: value for key, value in (pod.get("spec") or {}).items() if key not in (*_CHANGEABLE, "nodeName")}
    for group in ("containers", "initContainers"):
        if group in spec:
            spec[group] = [{**container, "image": ""} for container in spec[group]]
    return spec


def _prepare_template(obj: JsonObject, live: JsonObject | None) -> None:
    _complete_pod_spec(objects.at(obj, "spec", "template", "spec"))


def _prepare_deployment(obj: JsonObject, live: JsonObject | None) -> None:
    _prepare_template(obj, live)
    spec = obj.get("spec")
    if not isinstance(spec, dict):
        return
    strategy = spec.setdefault("strategy", {})
    if isinstance(strategy, dict) and strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        if isinstance(rolling, dict):
            rolling.setdefault("maxSurge", "25%")
            rolling.setdefault("maxUnavailable", "25%")


@dataclass(frozen=True, slots=True)
class _Selection:
    """The rules of a kind whose selector must find the Pods of its template."""

    restart_policies: tuple[str, ...]

    def __call__(self, obj: JsonObject, live: JsonObject | None) -> Iterator[Fault]:
        spec = obj["spec"]
        template = spec.get("template") or {}
        yield from _pod_spec_faults(template.get("spec") or {}, "spec.template.spec")
        policy = objects.at(template, "spec", "restartPolicy")
        if policy in _RESTART_POLICIES and policy not in self.restart_policies:
            yield faults.unsupported("spec.template.spec.restartPolicy", policy, self.restart_policies)
        wanted = objects.at(spec, "selector", "matchLabels") or {}
        if not wanted and not objects.at(spec, "selector", "matchExpressions"):
            yield faults.invalid("spec.selector", {}, "empty selector is invalid")
        labels = objects.at(template, "metadata", "labels") or {}
        if any(labels.get(key) != value for key, value in wanted.items()):
            yield faults.invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
        if live is not None and not objects.is_equal(spec.get("selector"), live["spec"].get("selector")):
            yield faults.invalid("spec.selector", spec.get("selector"), "field is immutable")
        for key in ("replicas", "parallelism", "completions", "backoffLimit"):
            if isinstance(spec.get(key), int) and spec[key] < 0:
                yield faults.invalid(f"spec.{key}", spec[key], "must be greater than or equal to 0")


def _prepare_job(obj: JsonObject, live: JsonObject | None) -> None:
    _prepare_template(obj, live)
    spec = obj.get("spec")
    if not isinstance(spec, dict):
        return
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    if spec.get("parallelism") is None:
        spec["parallelism"] = 1
    if live is None and not spec.get("manualSelector") and isinstance(spec.get("template"), dict):
        identity = {"batch.kubernetes.io/controller-uid": objects.uid(obj)}
        name = {"batch.kubernetes.io/job-name": objects.name(obj), "job-name": objects.name(obj)}
        template_metadata = objects.meta(spec["template"])
        labels = template_metadata.get("labels") or {}
        template_metadata["labels"] = {**labels, **identity, "controller-uid": objects.uid(obj), **name}
        spec["selector"] = {"matchLabels": identity}


def _validate_job(obj: JsonObject, live: JsonObject | None) -> Iterator[Fault]:
    yield from _Selection(("OnFailure", "Never"))(obj, live)
    if live is None or objects.at(live, "spec", "suspend"):
        return
    if not objects.is_equal(obj["spec"]["template"], live["spec"]["template"]):
        yield faults.invalid("spec.template", {}, "field is immutable")


BEHAVIOURS = {
    "/pods": Behaviour(prepare=_prepare_pod, validate=_validate_pod),
    "apps/deployments": Behaviour(prepare=_prepare_deployment, validate=_Selection(("Always",))),
    "apps/replicasets": Behaviour(prepare=_prepare_template, validate=_Selection(("Always",))),
    "batch/jobs": Behaviour(prepare=_prepare_job, validate=_validate_job),
}

"""The rules of CustomResourceDefinition: valid, named, established at once, and cleaned up when deleted. Pure."""

from collections.abc import Callable, Iterable, Iterator

from touchstone_local.apiserver.builtins.behaviours import Behaviour
from touchstone_local.apiserver.core import crds, faults, objects, structural
from touchstone_local.apiserver.core.faults import Fault
from touchstone_local.apiserver.core.objects import JsonObject
from touchstone_local.apiserver.core.structural import RuleCheck


def behaviour(
    rule_check: RuleCheck, others: Callable[[], Iterable[JsonObject]], timestamp: Callable[[], str]
) -> Behaviour:
    """Return the rules of CRDs.

    Args:
        rule_check: Compiles CEL expressions.
        others: Returns the CRDs of the server.
        timestamp: Returns the time now.
    """

    def finish(obj: JsonObject, live: JsonObject | None) -> None:
        if objects.is_terminating(obj):
            return
        before = objects.clone(live.get("status") or {}) if live is not None else {}
        obj["status"] = {**before, **crds.status_of({**obj, "status": before}, others(), time=timestamp())}

    def mark_deleted(obj: JsonObject, live: JsonObject | None) -> None:
        status = obj.get("status") or {}
        conditions = [*(status.get("conditions") or []), crds.terminating_condition(timestamp())]
        obj["status"] = {**status, "conditions": conditions}

    def validate(obj: JsonObject, live: JsonObject | None) -> Iterator[Fault]:
        yield from structural.validate(obj, rule_check)
        if live is not None:
            yield from _fixed(obj["spec"], live["spec"])

    return Behaviour(prepare=_prepare, validate=validate, finish=finish, mark_deleted=mark_deleted)


def _prepare(obj: JsonObject, live: JsonObject | None) -> None:
    spec = obj.get("spec")
    if isinstance(spec, dict):
        crds.complete_names(spec)
        spec.setdefault("conversion", {"strategy": "None"})
    if live is None:
        finalizers = objects.finalizers(obj)
        if crds.CLEANUP_FINALIZER not in finalizers:
            objects.meta(obj)["finalizers"] = [*finalizers, crds.CLEANUP_FINALIZER]


def _fixed(spec: JsonObject, live: JsonObject) -> Iterator[Fault]:
    for path in (("group",), ("scope",), ("names", "kind"), ("names", "plural")):
        if objects.at(spec, *path) != objects.at(live, *path):
            yield faults.invalid(f"spec.{'.'.join(path)}", objects.at(spec, *path), "field is immutable")

"""Carrying out a plan, in the order that is safe to be cut off after any write.

Writes that would change nothing are not sent: a settled object causes no traffic, and no event that would wake its own
reconciler.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from touchstone_runtime import revisions

from touchstone_operator import objects
from touchstone_operator.api.common import Condition
from touchstone_operator.objects import Happening, JsonObject, Kind
from touchstone_operator.plan import actions, conditions, times
from touchstone_operator.plan.actions import Child, Plan
from touchstone_operator.plan.conditions import Observation
from touchstone_operator.ports import Clock, Cluster

MESSAGE_LIMIT = 1000


class Execution:
    """Writes to the cluster on behalf of one object."""

    def __init__(self, cluster: Cluster, now: Clock, kind: Kind, obj: JsonObject) -> None:
        self._cluster = cluster
        self._now = now
        self._kind = kind
        self._obj = obj

    @property
    def obj(self) -> JsonObject:
        """The object as last read or written."""
        return self._obj

    async def carry_out(self, plan: Plan, found: Iterable[JsonObject] = ()) -> None:
        """Carry out a plan, given the children that exist."""
        known = {(obj["kind"], obj["metadata"]["name"]): obj for obj in found}
        for child in plan.apply:
            await self._apply(child, known)
        for child in plan.create:
            await self._cluster.create(child.kind, child.obj)
        await self.record(plan.happenings)
        await self.write_status(plan.status.dump())
        for child in plan.delete:
            await self._cluster.delete(child.kind, child.obj)

    async def write_status(self, status: JsonObject) -> bool:
        """Write a status unless it is there already; tell whether it was written."""
        patch = actions.status_patch(self._obj.get("status") or {}, status)
        if not patch:
            return False
        self._obj = await self._cluster.patch_status(self._kind, self._obj, patch)
        return True

    async def write_conditions(self, observed: Sequence[Observation], *, is_observed: bool = False) -> bool:
        """Write some conditions, and leave the rest of the status as it is.

        The generation counts as observed only where there is nothing more to do for it.
        """
        status = dict(self._obj.get("status") or {})
        generation = int(self._obj["metadata"].get("generation") or 0)
        known = tuple(Condition.model_validate(condition) for condition in status.get("conditions") or ())
        merged = conditions.merge(known, observed, generation=generation, now=self._now())
        names = {condition.type for condition in merged}
        kept = [condition for condition in known if condition.type not in names | {"Reconciling", "Stalled"}]
        if is_observed:
            status["observedGeneration"] = generation
        status["conditions"] = [condition.dump() for condition in (*kept, *merged)]
        return await self.write_status(status)

    async def set_finalizer(self, *, is_wanted: bool, labels: Mapping[str, str] | None = None) -> None:
        """Put the operator's finalizer on the object, with labels, or take it off."""
        metadata = self._obj["metadata"]
        present = list(metadata.get("finalizers") or ())
        missing = {
            name: value for name, value in (labels or {}).items() if (metadata.get("labels") or {}).get(name) != value
        }
        if is_wanted == (objects.FINALIZER in present) and not missing:
            return
        others = [finalizer for finalizer in present if finalizer != objects.FINALIZER]
        wanted = [*others, objects.FINALIZER] if is_wanted else others
        patch = {"finalizers": wanted or None} | ({"labels": missing} if missing else {})
        self._obj = await self._cluster.patch_metadata(self._kind, self._obj, patch)

    async def record(self, happenings: Iterable[Happening]) -> None:
        """Record what happened as Events. One that was recorded before the operator was cut off is not repeated."""
        for happening in happenings:
            await self._cluster.create(objects.EVENT, _event(self._kind, self._obj, happening, self._now()))

    async def _apply(self, child: Child, known: Mapping[tuple[str, str], JsonObject]) -> None:
        wanted = _with_digest(child.obj)
        found = known.get((child.kind.name, child.obj["metadata"]["name"]))
        if found is None or not actions.is_contained(wanted, found):
            await self._cluster.apply(child.kind, wanted)


def _with_digest(obj: JsonObject) -> JsonObject:
    """Note on an object what was applied: what is contained in it but wanted no more shows by the digest."""
    metadata = obj["metadata"]
    annotations = {**metadata.get("annotations", {}), objects.ANNOTATION_APPLIED: revisions.digest_json(obj)}
    return {**obj, "metadata": {**metadata, "annotations": annotations}}


def _event(kind: Kind, obj: JsonObject, happening: Happening, now: datetime) -> JsonObject:
    metadata = obj["metadata"]
    identity = f"{metadata['uid']}/{metadata.get('generation')}/{happening.reason}/{happening.message}"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata['name']}.{hashlib.sha256(identity.encode()).hexdigest()[:16]}",
            "namespace": metadata["namespace"],
        },
        "involvedObject": {
            "apiVersion": kind.api_version,
            "kind": kind.name,
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
        "reason": happening.reason,
        "message": happening.message[:MESSAGE_LIMIT],
        "type": "Warning" if happening.is_warning else "Normal",
        "source": {"component": objects.FIELD_MANAGER},
        "reportingComponent": objects.FIELD_MANAGER,
        "reportingInstance": objects.FIELD_MANAGER,
        "firstTimestamp": times.write(now),
        "lastTimestamp": times.write(now),
        "count": 1,
    }

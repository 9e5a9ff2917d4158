"""From an event to the keys it concerns. Remembers which objects refer to which, and nothing else."""

from collections.abc import Iterable

from touchstone_operator import objects
from touchstone_operator.objects import JsonObject, Key, Kind

OWN_KINDS: tuple[Kind, ...] = (
    objects.MODEL_DEPLOYMENT,
    objects.RAG_INDEX,
    objects.EVAL_RUN,
    objects.FINETUNE_JOB,
    objects.MODEL_SELECTION,
)
WATCHED_CHILDREN: tuple[Kind, ...] = (objects.DEPLOYMENT, objects.CONFIG_MAP)


class Routes:
    """Who must be looked at when something changes."""

    def __init__(self) -> None:
        self._references: dict[Key, frozenset[Key]] = {}
        """What each ModelDeployment refers to: the ConfigMap of its prompt, its RagIndex, the FinetuneJobs of its model
        and adapters."""

    def concerned(self, kind: Kind, obj: JsonObject, *, is_deleted: bool = False) -> set[Key]:
        """Note an object as it now is, and return the keys to look at."""
        metadata = obj["metadata"]
        key = Key(kind.name, metadata["namespace"], metadata["name"])
        found = set(_owners(metadata.get("ownerReferences", ()), key.namespace))
        if kind in OWN_KINDS and not is_deleted:
            found.add(key)
        if kind == objects.MODEL_DEPLOYMENT:
            self._note(key, obj, is_deleted=is_deleted)
        found |= {referrer for referrer, referred in self._references.items() if key in referred}
        return found

    def _note(self, key: Key, obj: JsonObject, *, is_deleted: bool) -> None:
        if is_deleted:
            self._references.pop(key, None)
            return
        spec = obj.get("spec") or {}
        prompt = ((spec.get("prompt") or {}).get("configMapKeyRef") or {}).get("name")
        index = ((spec.get("rag") or {}).get("indexRef") or {}).get("name")
        jobs = [((spec.get("model") or {}).get("finetuneJobRef") or {}).get("name")]
        jobs += [
            (((adapter.get("source") or {}).get("finetuneJobRef") or {}).get("name"))
            for adapter in spec.get("adapters") or ()
        ]
        named = [(objects.CONFIG_MAP, prompt), (objects.RAG_INDEX, index)]
        named += [(objects.FINETUNE_JOB, job) for job in jobs]
        referred = {Key(kind.name, key.namespace, name) for kind, name in named if name}
        self._references[key] = frozenset(referred)


def _owners(references: Iterable[JsonObject], namespace: str) -> Iterable[Key]:
    own = {kind.name for kind in OWN_KINDS}
    for reference in references:
        if reference.get("controller") and reference.get("kind") in own:
            yield Key(reference["kind"], namespace, reference["name"])

"""Adapters that a FinetuneJob makes: from a job's status to a part of a bundle. Pure."""

from collections.abc import Iterable
from dataclasses import replace

from touchstone_runtime.revisions import Adapter, Digest, Manifest

from touchstone_operator.api.bundles import AdapterSpec
from touchstone_operator.api.finetunejob import FinetuneJob
from touchstone_operator.plan import conditions
from touchstone_operator.plan.bundle import Unresolved


def of_job(
    wanted: AdapterSpec, name: str, job: FinetuneJob | None, manifests: Iterable[Manifest]
) -> Adapter | Unresolved:
    """Take what a job has made as an adapter, or say why there is none and whether waiting helps.

    A job that is gone, by its time to live for example, is remembered by the revisions that have its adapter.

    Args:
        wanted: What the ModelDeployment asks for.
        name: The job's.
        job: As read; None when it does not exist.
        manifests: Of the ModelDeployment's revisions, newest first.
    """
    if job is None:
        made = (each for manifest in manifests for each in manifest.bundle.adapters if each.finetune_job == name)
        kept = next(made, None)
        message = f"FinetuneJob {name}, which makes adapter {wanted.name}, does not exist. Create it."
        return replace(kept, name=wanted.name) if kept else Unresolved("FinetuneJobNotFound", message, True)
    succeeded, artifact = conditions.find(job.status.conditions, conditions.SUCCEEDED), job.status.artifact
    why = f"{succeeded.reason}: {succeeded.message or ''}".strip(": .") if succeeded else "not begun"
    if succeeded and succeeded.status == "False":
        message = f"FinetuneJob {name}, which makes adapter {wanted.name}, has failed ({why}). Make and name a new one."
        return Unresolved("FinetuneJobFailed", message)
    if succeeded is None or succeeded.status != "True" or artifact is None:
        return Unresolved("AdapterNotReady", f"Adapter {wanted.name} waits for FinetuneJob {name} ({why}).", True)
    if artifact.type != "LoRAAdapter":
        message = (
            f"FinetuneJob {name} has made a whole model, not adapter {wanted.name}: remove the adapter, and serve "
            f"{artifact.uri} as spec.model.uri."
        )
        return Unresolved("NotAnAdapter", message)
    return Adapter(
        name=wanted.name,
        uri=artifact.uri,
        digest=Digest(artifact.digest),
        rank=artifact.rank or wanted.rank or 0,
        finetune_job=name,
    )

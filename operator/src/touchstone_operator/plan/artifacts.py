"""What a FinetuneJob has made, as a part of a bundle: an adapter, or the model itself. Pure.

A job that is gone, by its time to live for example, is remembered by the revisions that have what it made.
"""

from collections.abc import Iterable
from dataclasses import replace

from touchstone_runtime.revisions import Adapter, Digest, Manifest, Model

from touchstone_operator.api.bundles import AdapterSpec
from touchstone_operator.api.finetunejob import FinetuneJob, TrainedArtifact
from touchstone_operator.plan import conditions
from touchstone_operator.plan.bundle import Unresolved


def adapter(
    wanted: AdapterSpec, name: str, job: FinetuneJob | None, manifests: Iterable[Manifest]
) -> Adapter | Unresolved:
    """Take what a job has made as an adapter, or say why there is none and whether waiting helps.

    Args:
        wanted: What the ModelDeployment asks for.
        name: The job's.
        job: As read; None when it does not exist.
        manifests: Of the ModelDeployment's revisions, newest first.
    """
    if job is None:
        made = (each for manifest in manifests for each in manifest.bundle.adapters if each.finetune_job == name)
        if kept := next(made, None):
            return replace(kept, name=wanted.name)
    found = _artifact(name, job, f"adapter {wanted.name}", "AdapterNotReady")
    if isinstance(found, Unresolved):
        return found
    if found.type != "LoRAAdapter":
        message = (
            f"FinetuneJob {name} has made a whole model, not adapter {wanted.name}: remove the adapter, and name the "
            "job as spec.model.finetuneJobRef."
        )
        return Unresolved("NotAnAdapter", message)
    return Adapter(
        name=wanted.name,
        uri=found.uri,
        digest=Digest(found.digest),
        rank=found.rank or wanted.rank or 0,
        finetune_job=name,
    )


def model(served_name: str, name: str, job: FinetuneJob | None, manifests: Iterable[Manifest]) -> Model | Unresolved:
    """Take what a job has made as the model, or say why there is none and whether waiting helps.

    Args:
        served_name: How requests name it.
        name: The job's.
        job: As read; None when it does not exist.
        manifests: Of the ModelDeployment's revisions, newest first.
    """
    if job is None:
        made = (each.bundle.model for each in manifests if each.bundle.model.finetune_job == name)
        if kept := next(made, None):
            return replace(kept, name=served_name)
    found = _artifact(name, job, "the model", "ModelNotReady")
    if isinstance(found, Unresolved):
        return found
    if found.type != "Model":
        message = (
            f"FinetuneJob {name} has made an adapter, not a whole model: name the job as the source of one of "
            "spec.adapters, and serve its base as spec.model.uri."
        )
        return Unresolved("NotAModel", message)
    return Model(uri=found.uri, digest=Digest(found.digest), name=served_name, finetune_job=name)


def _artifact(name: str, job: FinetuneJob | None, what: str, waiting: str) -> TrainedArtifact | Unresolved:
    if job is None:
        message = f"FinetuneJob {name}, which makes {what}, does not exist. Create it."
        return Unresolved("FinetuneJobNotFound", message, True)
    succeeded, artifact = conditions.find(job.status.conditions, conditions.SUCCEEDED), job.status.artifact
    why = f"{succeeded.reason}: {succeeded.message or ''}".strip(": .") if succeeded else "not begun"
    if succeeded and succeeded.status == "False":
        message = f"FinetuneJob {name}, which makes {what}, has failed ({why}). Make and name a new one."
        return Unresolved("FinetuneJobFailed", message)
    if succeeded is None or succeeded.status != "True" or artifact is None:
        return Unresolved(waiting, f"{what[0].upper()}{what[1:]} waits for FinetuneJob {name} ({why}).", True)
    return artifact

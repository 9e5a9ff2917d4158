"""Finding the revisions that an EvalRun measures: names resolved to digests, once, when the run starts."""

from typing import NamedTuple

from touchstone_runtime.revisions import MANIFEST_KEY, Digest, Manifest, ManifestInvalid

from touchstone_operator import objects
from touchstone_operator.api.evalrun import Baseline, EvalRun
from touchstone_operator.api.modeldeployment import ModelDeployment
from touchstone_operator.api.ragindex import RagIndex
from touchstone_operator.ports import Cluster, Measured


class Missing(NamedTuple):
    """Why a revision cannot be measured yet."""

    reason: str
    message: str


class Subjects(NamedTuple):
    """What is measured and what it is compared with."""

    subject: Measured
    baseline: Measured | None


async def resolve(cluster: Cluster, run: EvalRun) -> Subjects | Missing:
    """Find subject and baseline of a run. An empty revision means the one that serves now."""
    if run.spec.subject.type == "ModelDeployment":
        return await _of_model_deployment(cluster, run)
    return await _of_rag_index(cluster, run)


async def _of_model_deployment(cluster: Cluster, run: EvalRun) -> Subjects | Missing:
    reference = run.spec.subject.model_deployment_ref
    if reference is None:
        return Missing("SubjectNotFound", "spec.subject.modelDeploymentRef is not set.")
    namespace = run.metadata.namespace
    obj = await cluster.get(objects.MODEL_DEPLOYMENT, namespace, reference.name)
    if obj is None:
        return Missing("SubjectNotFound", f"ModelDeployment {reference.name} does not exist.")
    deployment = ModelDeployment.read(obj)
    stable = deployment.status.stable_revision or ""
    known = {r.name: Measured(name=r.name, digest=Digest(r.digest)) for r in deployment.status.revisions or ()}
    wanted = _wanted(reference.revision or stable, run.spec.baseline, stable)
    for name in filter(None, wanted):
        if name not in known:
            found = await _of_manifest(cluster, deployment, name)
            known |= {name: found} if found else {}
    return _choose(wanted, known, reference.name)


async def _of_manifest(cluster: Cluster, deployment: ModelDeployment, revision: str) -> Measured | None:
    obj = await cluster.get(objects.CONFIG_MAP, deployment.metadata.namespace, revision)
    if obj is None or not objects.is_controlled_by(objects.metadata(obj), deployment.metadata):
        return None
    try:
        manifest = Manifest.from_json((obj.get("data") or {}).get(MANIFEST_KEY, ""))
    except ManifestInvalid:
        return None
    return Measured(name=manifest.name, digest=manifest.digest) if manifest.name == revision else None


async def _of_rag_index(cluster: Cluster, run: EvalRun) -> Subjects | Missing:
    reference = run.spec.subject.rag_index_ref
    if reference is None:
        return Missing("SubjectNotFound", "spec.subject.ragIndexRef is not set.")
    obj = await cluster.get(objects.RAG_INDEX, run.metadata.namespace, reference.name)
    if obj is None:
        return Missing("SubjectNotFound", f"RagIndex {reference.name} does not exist.")
    status = RagIndex.read(obj).status
    active = status.active_revision or ""
    known = {r.name: Measured(name=r.name, digest=Digest(r.digest)) for r in status.revisions or ()}
    return _choose(_wanted(reference.revision or active, run.spec.baseline, active), known, reference.name)


def _wanted(subject: str, baseline: Baseline | None, serving: str) -> tuple[str, str | None]:
    if baseline is None or baseline.type == "None":
        return subject, None
    return subject, baseline.revision or serving


def _choose(wanted: tuple[str, str | None], known: dict[str, Measured], owner: str) -> Subjects | Missing:
    subject, baseline = wanted
    if not subject or baseline == "":
        return Missing("NothingServes", f"{owner} has no revision that serves yet.")
    missing = [name for name in (subject, baseline) if name and name not in known]
    if missing:
        return Missing("RevisionNotFound", f"{owner} has no revision {missing[0]}.")
    return Subjects(known[subject], known[baseline] if baseline else None)

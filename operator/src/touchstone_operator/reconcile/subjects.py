"""Finding the revisions that an EvalRun measures: names resolved to digests, once, when the run starts."""

from dataclasses import replace
from typing import NamedTuple

from touchstone_runtime.revisions import MANIFEST_KEY, Digest, Manifest, ManifestInvalid

from touchstone_operator import objects
from touchstone_operator.api import prices
from touchstone_operator.api.evalrun import Baseline, EvalRun
from touchstone_operator.api.evaluations import RevisionReference
from touchstone_operator.api.modeldeployment import ModelDeployment
from touchstone_operator.api.ragindex import RagIndex
from touchstone_operator.ports import Cluster, Measured, Subjects


class Missing(NamedTuple):
    """Why a revision cannot be measured yet."""

    reason: str
    message: str


async def resolve(cluster: Cluster, run: EvalRun) -> Subjects | Missing:
    """Find subject, baseline and judges of a run. An empty revision means the one that serves now."""
    if run.spec.subject.type == "ModelDeployment":
        found = await _of_model_deployment(cluster, run)
    else:
        found = await _of_rag_index(cluster, run)
    if isinstance(found, Missing):
        return found
    judges: dict[str, Measured] = {}
    for suite in run.spec.suites:
        for judge in suite.judges or ():
            judging = await answering(
                cluster, run.metadata.namespace, judge.model_deployment_ref, reason="JudgeNotFound", role="is to judge"
            )
            if isinstance(judging, Missing):
                return judging
            judges[f"{suite.name}/{judge.name}"] = judging
    return replace(found, judges=judges)


async def answering(
    cluster: Cluster, namespace: str, reference: RevisionReference, *, reason: str, role: str
) -> Measured | Missing:
    """Find the revision of a ModelDeployment that is to answer.

    Args:
        cluster: Where it is looked for.
        namespace: Of the ModelDeployment.
        reference: Names it; an empty revision means the one that serves now.
        reason: What is told where there is none.
        role: Says what it is needed for: `is to judge`.
    """
    obj = await cluster.get(objects.MODEL_DEPLOYMENT, namespace, reference.name)
    if obj is None:
        return Missing(reason, f"ModelDeployment {reference.name}, which {role}, does not exist.")
    deployment = ModelDeployment.read(obj)
    wanted = reference.revision or deployment.status.stable_revision
    if not wanted:
        return Missing(reason, f"{reference.name}, which {role}, has no revision that serves yet.")
    found = await _revision(cluster, deployment, wanted)
    return found or Missing(reason, f"{reference.name}, which {role}, has no revision {wanted}.")


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
    wanted = _wanted(reference.revision or stable, run.spec.baseline, stable)
    found = {name: await _revision(cluster, deployment, name) for name in wanted if name}
    return _choose(wanted, {name: one for name, one in found.items() if one}, reference.name)


async def _revision(cluster: Cluster, deployment: ModelDeployment, revision: str) -> Measured | None:
    """Find a revision in the status or, once it has left that, by its manifest."""
    price = deployment.spec.price
    for known in deployment.status.revisions or ():
        if known.name == revision:
            found = prices.of_revision(price, known.ready_replicas or 0)
            return Measured(name=known.name, digest=Digest(known.digest), price=found)
    obj = await cluster.get(objects.CONFIG_MAP, deployment.metadata.namespace, revision)
    if obj is None or not objects.is_controlled_by(objects.metadata(obj), deployment.metadata):
        return None
    try:
        manifest = Manifest.from_json((obj.get("data") or {}).get(MANIFEST_KEY, ""))
    except ManifestInvalid:
        return None
    if manifest.name != revision:
        return None
    return Measured(name=manifest.name, digest=manifest.digest, price=prices.of_revision(price, 0))


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
    return Subjects(subject=known[subject], baseline=known[baseline] if baseline else None)

"""The evaluation of what a FinetuneJob made, in the deployment that takes it. Pure."""

from collections.abc import Iterable

from touchstone_runtime.revisions import Bundle, Digest, Manifest

from touchstone_operator import objects
from touchstone_operator.api.evalrun import EvalRun
from touchstone_operator.api.finetunejob import FinetuneJob
from touchstone_operator.objects import JsonObject
from touchstone_operator.plan import conditions
from touchstone_operator.plan.conditions import Observation

EVALUATED = "Evaluated"


def is_wanted(job: FinetuneJob) -> bool:
    """Tell whether a finished job still waits for a verdict."""
    is_done = conditions.is_true(job.status.conditions, conditions.SUCCEEDED)
    known = conditions.find(job.status.conditions, EVALUATED)
    return is_done and job.spec.evaluation is not None and (known is None or known.status == "Unknown")


def run_name(job: FinetuneJob) -> str:
    """Name the EvalRun of a job."""
    return f"{job.metadata.name}-eval"


def revision(job: FinetuneJob, manifests: Iterable[Manifest]) -> str:
    """Name the first revision, of those given the newest first, that has what the job made; empty: there is none."""
    made = job.status.artifact
    if made is None:
        return ""
    return next((each.name for each in manifests if _has(each.bundle, Digest(made.digest))), "")


def _has(bundle: Bundle, digest: Digest) -> bool:
    return digest == bundle.model.digest or any(digest == adapter.digest for adapter in bundle.adapters)


def run(job: FinetuneJob, revision_name: str) -> JsonObject:
    """Write the EvalRun of a revision."""
    asked = job.spec.evaluation
    if asked is None:
        raise ValueError("the job asks for no evaluation")
    body = asked.eval_run_template.spec
    has_baseline = any(criterion.relative for criterion in body.criteria)
    reference = {**asked.model_deployment_ref.dump(), "revision": revision_name}
    return {
        "apiVersion": objects.EVAL_RUN.api_version,
        "kind": objects.EVAL_RUN.name,
        "metadata": objects.child_metadata(objects.FINETUNE_JOB, job.metadata, run_name(job)),
        "spec": {
            **body.dump(),
            "subject": {"type": "ModelDeployment", "modelDeploymentRef": reference},
            **({"baseline": {"type": "Revision"}} if has_baseline else {}),
        },
    }


def waiting(job: FinetuneJob) -> Observation:
    """Observe that there is no revision yet with what the job made."""
    name = job.spec.evaluation.model_deployment_ref.name if job.spec.evaluation else ""
    message = f"ModelDeployment {name} has no revision with what the job made yet."
    return conditions.unknown(EVALUATED, "NoRevision", message)


def observed(found: EvalRun) -> Observation:
    """Observe what the EvalRun has come to."""
    verdict = found.status.verdict
    if verdict is None:
        return conditions.unknown(EVALUATED, "Measuring", f"EvalRun {found.metadata.name} measures it.")
    make = conditions.holds if verdict == "Passed" else conditions.fails
    return make(EVALUATED, verdict, found.status.message or "")

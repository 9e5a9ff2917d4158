"""Objects of the cluster: the kinds that the operator touches, their keys, and the names it puts on them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from touchstone_operator.api.common import API_VERSION, GROUP, Metadata

JsonObject: TypeAlias = dict[str, Any]
"""An object as the API server sends it."""

FIELD_MANAGER = "touchstone-operator"
MANAGED_BY = "touchstone"
FINALIZER = f"{GROUP}/cleanup"

LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_KIND = f"{GROUP}/kind"
LABEL_NAME = f"{GROUP}/name"
LABEL_REVISION = f"{GROUP}/revision"
LABEL_ROLE = f"{GROUP}/role"
LABEL_GATE = f"{GROUP}/gate"
LABEL_VERDICT_KEY = f"{GROUP}/verdict-key"
"""What an EvalRun's verdict is bound to, for finding an earlier one."""

ANNOTATION_APPLIED = f"{GROUP}/applied-digest"
"""Digest of what was last applied: a field that is no longer wanted shows by it."""
ANNOTATION_GATE_DIGEST = f"{GROUP}/gate-digest"
"""Digest of the suites and criteria of a gate's EvalRun."""
ANNOTATION_ROLLOUT = f"{GROUP}/rollout"
"""The rollout that a gate's EvalRun was made for: the time it began."""
ANNOTATION_CAUSE = f"{GROUP}/cause"
"""`GENERATION/FORCE-SYNC` of the owner when it made a gate's EvalRun."""
ANNOTATION_FORCE_SYNC = f"{GROUP}/force-sync"
ANNOTATION_ABORT = f"{GROUP}/abort-rollout"
ANNOTATION_PROMOTE = f"{GROUP}/promote"
ANNOTATION_VERSION = f"{GROUP}/definitions-version"
ANNOTATION_TRACEPARENT = f"{GROUP}/traceparent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of the API: where it lives and what it is called."""

    api_version: str
    name: str
    plural: str

    def path(self, namespace: str, name: str = "") -> str:
        """Write the URL path of a namespace's objects of this kind, or of one of them."""
        root = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        collection = f"{root}/namespaces/{namespace}/{self.plural}" if namespace else f"{root}/{self.plural}"
        return f"{collection}/{name}" if name else collection


MODEL_DEPLOYMENT = Kind(api_version=API_VERSION, name="ModelDeployment", plural="modeldeployments")
RAG_INDEX = Kind(api_version=API_VERSION, name="RagIndex", plural="ragindexes")
EVAL_RUN = Kind(api_version=API_VERSION, name="EvalRun", plural="evalruns")
FINETUNE_JOB = Kind(api_version=API_VERSION, name="FinetuneJob", plural="finetunejobs")
MODEL_SELECTION = Kind(api_version=API_VERSION, name="ModelSelection", plural="modelselections")
CONFIG_MAP = Kind(api_version="v1", name="ConfigMap", plural="configmaps")
POD = Kind(api_version="v1", name="Pod", plural="pods")
SECRET = Kind(api_version="v1", name="Secret", plural="secrets")
EVENT = Kind(api_version="v1", name="Event", plural="events")
DEPLOYMENT = Kind(api_version="apps/v1", name="Deployment", plural="deployments")
DEFINITION = Kind(
    api_version="apiextensions.k8s.io/v1", name="CustomResourceDefinition", plural="customresourcedefinitions"
)
RAY_SERVICE = Kind(api_version="ray.io/v1", name="RayService", plural="rayservices")
NETWORK_POLICY = Kind(api_version="networking.k8s.io/v1", name="NetworkPolicy", plural="networkpolicies")
LEASE = Kind(api_version="coordination.k8s.io/v1", name="Lease", plural="leases")

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        MODEL_DEPLOYMENT,
        RAG_INDEX,
        EVAL_RUN,
        FINETUNE_JOB,
        MODEL_SELECTION,
        CONFIG_MAP,
        SECRET,
        EVENT,
        DEPLOYMENT,
        NETWORK_POLICY,
        RAY_SERVICE,
        LEASE,
    )
}


class Key(NamedTuple):
    """What is reconciled: one object of one kind."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


class Happening(NamedTuple):
    """Something that happened, for an Event. Never holds prompts, samples or secrets."""

    reason: str
    message: str
    is_warning: bool = False


def metadata(obj: JsonObject) -> Metadata:
    """Read an object's metadata."""
    return Metadata.model_validate(obj["metadata"])


def labels(kind: Kind, name: str, *, revision: str = "", role: str = "", gate: str = "") -> dict[str, str]:
    """Write the labels of a child of an object."""
    optional = {LABEL_REVISION: revision, LABEL_ROLE: role, LABEL_GATE: gate}
    return {LABEL_MANAGED_BY: MANAGED_BY, LABEL_KIND: kind.name, LABEL_NAME: name} | {
        label: value for label, value in optional.items() if value
    }


def owner_reference(kind: Kind, owner: Metadata) -> JsonObject:
    """Write the reference from a child to the object that controls it."""
    return {
        "apiVersion": kind.api_version,
        "kind": kind.name,
        "name": owner.name,
        "uid": owner.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def child_metadata(
    kind: Kind, owner: Metadata, name: str, *, revision: str = "", role: str = "", gate: str = ""
) -> JsonObject:
    """Write the metadata of an object that another one, of this kind, controls."""
    return {
        "name": name,
        "namespace": owner.namespace,
        "labels": labels(kind, owner.name, revision=revision, role=role, gate=gate),
        "ownerReferences": [owner_reference(kind, owner)],
    }


def is_controlled_by(child: Metadata, owner: Metadata) -> bool:
    """Tell whether an object is controlled by another: by uid, so that a namesake does not count."""
    return any(reference.controller and reference.uid == owner.uid for reference in child.owner_references)

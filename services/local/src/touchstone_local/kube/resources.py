"""Kinds and their paths. Pure."""

from typing import NamedTuple


class Resource(NamedTuple):
    """A kind that an API server serves."""

    group: str
    """Empty for the core group."""
    version: str
    plural: str
    kind: str
    is_namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """`GROUP/VERSION`, or `VERSION` in the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def full_name(self) -> str:
        """`PLURAL.GROUP`, or `PLURAL` in the core group."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, *, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Return the URL path of a collection, an object or its subresource; no namespace means all of them."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        parts = [root]
        if self.is_namespaced and namespace:
            parts.append(f"namespaces/{namespace}")
        parts.append(self.plural)
        parts.extend(part for part in (name, subresource) if part)
        return "/".join(parts)


NAMESPACES = Resource("", "v1", "namespaces", "Namespace", is_namespaced=False)
PODS = Resource("", "v1", "pods", "Pod")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
SECRETS = Resource("", "v1", "secrets", "Secret")
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
JOBS = Resource("batch", "v1", "jobs", "Job")
CRDS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", is_namespaced=False
)
MODEL_DEPLOYMENTS = Resource("touchstone.dev", "v1alpha1", "modeldeployments", "ModelDeployment")
RAG_INDEXES = Resource("touchstone.dev", "v1alpha1", "ragindexes", "RagIndex")
EVAL_RUNS = Resource("touchstone.dev", "v1alpha1", "evalruns", "EvalRun")
FINETUNE_JOBS = Resource("touchstone.dev", "v1alpha1", "finetunejobs", "FinetuneJob")
MODEL_SELECTIONS = Resource("touchstone.dev", "v1alpha1", "modelselections", "ModelSelection")
TOUCHSTONE_KINDS = (MODEL_DEPLOYMENTS, RAG_INDEXES, EVAL_RUNS, FINETUNE_JOBS, MODEL_SELECTIONS)

"""Resolving a ModelDeployment into a revision. Pure: what has to be read is read before, and handed in.

A bundle is digests of contents. What cannot be resolved yet says why and whether waiting helps; what this version
cannot do is named field by field.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from touchstone_runtime import revisions
from touchstone_runtime.revisions import Digest, Manifest

from touchstone_operator.api.bundles import ModelSource
from touchstone_operator.api.modeldeployment import ModelDeployment, ModelDeploymentSpec
from touchstone_operator.api.ragindex import RagIndex
from touchstone_operator.plan import addresses, support

_FRAGMENT = re.compile(r"#sha256=([0-9a-f]{64})$")
STRUCTURED_SUFFIXES = (".yaml", ".yml")


class Unresolved(NamedTuple):
    """Why there is no revision."""

    reason: str
    message: str
    is_waiting: bool = False
    """True when it resolves without a change of the spec."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a spec refers to, as read."""

    model: revisions.Model | Unresolved
    adapters: tuple[revisions.Adapter | Unresolved, ...] = ()
    """Adapters in the order of the spec."""
    prompt: str | None = None
    """Content of the prompt's key; None when the ConfigMap or the key is missing."""
    index: RagIndex | None = None
    """The RagIndex that is referred to; None when it is missing."""
    default_image: str = ""
    """The platform's image for the engine's type."""
    has_ray: bool = False
    """Whether the platform has KubeRay run RayServices."""
    has_network_policies: bool = False
    """Whether the platform bounds who reaches engines."""


def resolve(deployment: ModelDeployment, contents: Contents) -> Manifest | Unresolved:
    """Resolve a spec and its contents into a revision's manifest."""
    spec, namespace = deployment.spec, deployment.metadata.namespace
    refusal = _unsupported(spec) or _unplaced(spec, contents) or _unbounded(spec, contents)
    if refusal:
        return refusal
    if isinstance(contents.model, Unresolved):
        return contents.model
    missing = next((each for each in contents.adapters if isinstance(each, Unresolved)), None)
    if missing:
        return missing
    prompt = _prompt(spec, contents.prompt)
    if isinstance(prompt, Unresolved):
        return prompt
    rag = _rag(spec, namespace, contents.index)
    if isinstance(rag, Unresolved):
        return rag
    return Manifest(
        namespace=namespace,
        deployment=deployment.metadata.name,
        bundle=revisions.Bundle(
            model=contents.model,
            adapters=tuple(each for each in contents.adapters if not isinstance(each, Unresolved)),
            default_adapter=spec.default_adapter or "",
            prompt=prompt,
            rag=rag,
            engine=revisions.Engine(
                type=spec.engine.type,
                image=spec.engine.image or contents.default_image,
                max_model_len=spec.engine.max_model_len,
                args=dict(spec.engine.args or {}),
            ),
        ),
    )


def _unsupported(spec: ModelDeploymentSpec) -> Unresolved | None:
    message = support.unsupported(spec)
    return Unresolved("NotSupportedYet", message) if message else None


def _unplaced(spec: ModelDeploymentSpec, contents: Contents) -> Unresolved | None:
    """Refuse what this platform has nothing to run with."""
    if spec.engine.type != "VLLM":
        return None
    if not contents.has_ray:
        message = (
            "spec.engine.type VLLM needs Ray, which this platform does not use. Install KubeRay and set ray.enabled."
        )
        return Unresolved("RayNotEnabled", message)
    if not (spec.engine.image or contents.default_image):
        return Unresolved("EngineImageMissing", "The platform names no image for VLLM. Set spec.engine.image.")
    return None


def _unbounded(spec: ModelDeploymentSpec, contents: Contents) -> Unresolved | None:
    if contents.has_network_policies or spec.access is None or spec.access.allowed_namespaces is None:
        return None
    message = (
        "spec.access.allowedNamespaces: this platform writes no NetworkPolicies. Remove it, or have them switched on."
    )
    return Unresolved("NotSupportedYet", message)


def declared_digest(model: ModelSource, engine_type: str, served_name: str) -> Digest | None:
    """Take the digest that the spec itself declares: of the file in the address, or as the revision.

    An External model has no weights to read: its address and name stand for it.
    """
    if engine_type == "External":
        return revisions.digest_json({"uri": model.uri, "revision": model.revision or "", "name": served_name})
    fragment = _FRAGMENT.search(model.uri or "")
    return addresses.digest(model.revision) or (Digest(f"sha256:{fragment[1]}") if fragment else None)


def pinned_digest(uri: str, manifests: Iterable[Manifest]) -> Digest | None:
    """Take the digest that an earlier revision resolved the same address to: an address never floats."""
    return next((m.bundle.model.digest for m in manifests if m.bundle.model.uri == uri), None)


def _prompt(spec: ModelDeploymentSpec, content: str | None) -> revisions.Prompt | Unresolved | None:
    if spec.prompt is None:
        return None
    reference = spec.prompt.config_map_key_ref
    if content is None:
        return Unresolved(
            "PromptNotFound", f"Key {reference.key} of ConfigMap {reference.name} does not exist. Create it.", True
        )
    return revisions.Prompt(
        digest=revisions.digest_bytes(content.encode()),
        template=content,
        is_structured=reference.key.endswith(STRUCTURED_SUFFIXES),
    )


def _rag(spec: ModelDeploymentSpec, namespace: str, index: RagIndex | None) -> revisions.Rag | Unresolved | None:
    if spec.rag is None:
        return None
    name = spec.rag.index_ref.name
    if index is None:
        return Unresolved("IndexNotFound", f"RagIndex {name} does not exist. Create it.", True)
    is_pinned = spec.rag.revision_policy == "Pinned"
    wanted = spec.rag.revision if is_pinned else index.status.active_revision
    if not wanted:
        return Unresolved("IndexNotActive", f"RagIndex {name} has no active revision yet.", True)
    revision = next((r for r in index.status.revisions or () if r.name == wanted), None)
    if revision is None:
        return Unresolved("IndexRevisionNotFound", f"RagIndex {name} has no revision {wanted}.", True)
    return revisions.Rag(index=f"{namespace}/{name}", revision=wanted, digest=Digest(revision.digest))

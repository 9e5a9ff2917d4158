"""Resolving a ModelDeployment into a revision. Pure: what has to be read is read before, and handed in.

A bundle is digests of contents. What cannot be resolved yet says why and whether waiting helps; what this version
cannot do is named field by field.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from touchstone_runtime import revisions
from touchstone_runtime.revisions import Digest, Manifest

from touchstone_operator.api.bundles import ModelSource
from touchstone_operator.api.modeldeployment import ModelDeployment, ModelDeploymentSpec
from touchstone_operator.api.ragindex import RagIndex
from touchstone_operator.api.servings import Parallelism, RoleSpec

_DIGEST = re.compile(r"^sha256:[0-9a-f]{64}$")
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

    model_digest: Digest | Unresolved
    prompt: str | None = None
    """Content of the prompt's key; None when the ConfigMap or the key is missing."""
    index: RagIndex | None = None
    """The RagIndex that is referred to; None when it is missing."""
    default_image: str = ""
    """The platform's engine image."""
    has_network_policies: bool = False
    """Whether the platform bounds who reaches engines."""


def resolve(deployment: ModelDeployment, contents: Contents) -> Manifest | Unresolved:
    """Resolve a spec and its contents into a revision's manifest."""
    spec, namespace = deployment.spec, deployment.metadata.namespace
    refusal = unsupported(spec) or _unbounded(spec, contents)
    if refusal:
        return refusal
    if isinstance(contents.model_digest, Unresolved):
        return contents.model_digest
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
            model=revisions.Model(
                uri=spec.model.uri, digest=contents.model_digest, name=spec.model.name or deployment.metadata.name
            ),
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


def unsupported(spec: ModelDeploymentSpec) -> Unresolved | None:
    """Name the first field that asks for what this version cannot do."""
    for field, is_asked, advice in _UNSUPPORTED:
        if is_asked(spec):
            return Unresolved("NotSupportedYet", f"{field} is not supported yet: {advice}.")
    return None


def _unbounded(spec: ModelDeploymentSpec, contents: Contents) -> Unresolved | None:
    if contents.has_network_policies or spec.access is None or spec.access.allowed_namespaces is None:
        return None
    message = (
        "spec.access.allowedNamespaces: this platform writes no NetworkPolicies. Remove it, or have them switched on."
    )
    return Unresolved("NotSupportedYet", message)


def role(spec: ModelDeploymentSpec) -> RoleSpec:
    """Take the one role of an aggregated deployment; its defaults when nothing is set."""
    return (spec.serving.aggregated if spec.serving else None) or RoleSpec()


def declared_digest(model: ModelSource, engine_type: str, served_name: str) -> Digest | None:
    """Take the digest that the spec itself declares: of the file in the address, or as the revision.

    An External model has no weights to read: its address and name stand for it.
    """
    if engine_type == "External":
        return revisions.digest_json({"uri": model.uri, "revision": model.revision or "", "name": served_name})
    if model.revision and _DIGEST.match(model.revision):
        return Digest(model.revision)
    fragment = _FRAGMENT.search(model.uri)
    return Digest(f"sha256:{fragment[1]}") if fragment else None


def pinned_digest(model: ModelSource, manifests: Iterable[Manifest]) -> Digest | None:
    """Take the digest that an earlier revision resolved the same address to: an address never floats."""
    return next((m.bundle.model.digest for m in manifests if m.bundle.model.uri == model.uri), None)


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


def _is_parallel(role: RoleSpec) -> bool:
    return role.parallelism is not None and role.parallelism != Parallelism()


_UNSUPPORTED: tuple[tuple[str, Callable[[ModelDeploymentSpec], bool], str], ...] = (
    ("spec.adapters", lambda s: bool(s.adapters), "merge the adapter into the weights, or remove it"),
    ("spec.engine.type VLLM", lambda s: s.engine.type == "VLLM", "use LlamaCpp, External or Scripted"),
    (
        "spec.engine.type External without an https:// address in spec.model.uri",
        lambda s: s.engine.type == "External" and not s.model.uri.startswith("https://"),
        "give the address of an OpenAI-compatible API",
    ),
    (
        "spec.model.uri https:// without spec.engine.type External",
        lambda s: s.engine.type != "External" and s.model.uri.startswith("https://"),
        "give the address of weights",
    ),
    ("spec.serving.mode Disaggregated", lambda s: bool(s.serving and s.serving.mode != "Aggregated"), "use Aggregated"),
    ("spec.serving.aggregated.scaling", lambda s: role(s).scaling is not None, "set replicas"),
    ("spec.serving.aggregated.parallelism", lambda s: _is_parallel(role(s)), "remove it: one replica is one process"),
    (
        "spec.access.auth",
        lambda s: bool(s.access and s.access.auth),
        "remove it: what the router asks for holds for all",
    ),
    ("spec.access.quotas", lambda s: bool(s.access and s.access.quotas), "remove it"),
    ("spec.expose.inferencePool", lambda s: bool(s.expose and s.expose.inference_pool), "set it to false"),
    ("spec.tracing", lambda s: s.tracing is not None, "remove it: the platform's tracing applies"),
    ("spec.cache.prefetch", lambda s: bool(s.cache and s.cache.prefetch), "set it to false"),
)

"""Revisions: the bundle that is served, its digest and its manifest. Pure: knows no cluster and no engine.

A bundle is resolved components only: digests of contents, never names of things that may change. Its canonical JSON
(RFC 8785) is hashed with SHA-256; equal bundles have equal digests wherever they are computed. The operator writes the
manifest into one immutable ConfigMap a revision; the router and the engine read it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NewType

import rfc8785

from touchstone_runtime import errors

Digest = NewType("Digest", str)
"""`sha256:` and 64 lower-case hexadecimal digits."""

MANIFEST_KEY = "manifest.json"
"""The key of the manifest in the revision's ConfigMap."""


def digest_bytes(content: bytes) -> Digest:
    """Digest bytes with SHA-256."""
    return Digest(f"sha256:{hashlib.sha256(content).hexdigest()}")


def digest_json(document: Any) -> Digest:
    """Digest a JSON document by its canonical form, RFC 8785."""
    return digest_bytes(rfc8785.dumps(document))


def digest_snapshot(manifest: Mapping[str, Any]) -> Digest:
    """Digest the manifest of a data snapshot: all but its own digest, its time, and the addresses of its sources."""
    content = {name: value for name, value in manifest.items() if name not in ("created_at", "digest")}
    content["sources"] = [
        {name: value for name, value in source.items() if name != "uri"} for source in manifest["sources"]
    ]
    return digest_json(content)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """The weights, as resolved."""

    uri: str
    """Where they come from; informative, not hashed: the digest says what they are."""
    digest: Digest
    """Digest of the weights; for an External model, of its address and name."""
    name: str
    """The served name."""
    finetune_job: str = ""
    """The FinetuneJob that made it; informative, as the address. Empty: it was given by its address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A LoRA adapter, as resolved."""

    name: str
    uri: str
    digest: Digest
    rank: int
    finetune_job: str = ""
    """The FinetuneJob that made it; informative, as the address. Empty: it was given by its address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A prompt template, as read."""

    digest: Digest
    """Digest of `template`."""
    template: str
    """The template's text; see docs/prompts.md for its language."""
    is_structured: bool
    """True for a YAML document with system, examples, user and budget; False for the text of a system turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rag:
    """An index revision, as resolved."""

    index: str
    """`NAMESPACE/NAME` of the RagIndex."""
    revision: str
    """Name of the index revision: searches are pinned to it."""
    digest: Digest
    """Digest of the index revision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """The engine and its arguments."""

    type: str
    """LlamaCpp, Scripted, VLLM or External."""
    image: str = ""
    """The image with its digest; empty on the embedded platform."""
    max_model_len: int
    """The context of one request, prompt and output, in tokens."""
    args: Mapping[str, str] = field(default_factory=dict)
    """Engine arguments by their command-line names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What is served: everything that can change an answer."""

    model: Model
    adapters: tuple[Adapter, ...] = ()
    default_adapter: str = ""
    """The adapter of requests that choose none; empty: the model without any."""
    prompt: Prompt | None = None
    rag: Rag | None = None
    engine: Engine

    def document(self) -> dict[str, Any]:
        """Write the bundle as JSON. What came later than the first revisions is there only where it is set."""
        document = asdict(self)
        if not self.default_adapter:
            del document["default_adapter"]
        for made in (document["model"], *document["adapters"]):
            if not made["finetune_job"]:
                del made["finetune_job"]
        return document

    def digest(self) -> Digest:
        """Digest the bundle. Where things come from does not count, only what they are."""
        document = self.document()
        for made in (document["model"], *document["adapters"]):
            del made["uri"]
            made.pop("finetune_job", None)
        if document["prompt"]:
            del document["prompt"]["template"]
        document["engine"]["args"] = dict(self.engine.args)
        return digest_json(document)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A revision: a bundle with its names. Written once, never changed."""

    namespace: str
    deployment: str
    """Name of the ModelDeployment."""
    bundle: Bundle

    @property
    def digest(self) -> Digest:
        """The bundle's digest."""
        return self.bundle.digest()

    @property
    def name(self) -> str:
        """The revision's name: the deployment's name and the first ten hexadecimal digits of the digest."""
        return revision_name(self.deployment, self.digest)

    def to_json(self) -> str:
        """Write the manifest as the ConfigMap holds it; equal manifests give equal text."""
        document: dict[str, Any] = {
            "namespace": self.namespace,
            "deployment": self.deployment,
            "bundle": self.bundle.document(),
            "name": self.name,
            "digest": self.digest,
        }
        return rfc8785.dumps(document).decode()

    @classmethod
    def from_json(cls, text: str) -> "Manifest":
        """Read a manifest.

        Raises:
            ManifestInvalid: The text is not a manifest, or its digest does not fit its content.
        """
        try:
            document = json.loads(text)
            bundle = document["bundle"]
            manifest = cls(
                namespace=document["namespace"],
                deployment=document["deployment"],
                bundle=Bundle(
                    model=Model(**bundle["model"]),
                    adapters=tuple(Adapter(**a) for a in bundle["adapters"]),
                    default_adapter=bundle.get("default_adapter", ""),
                    prompt=Prompt(**bundle["prompt"]) if bundle["prompt"] else None,
                    rag=Rag(**bundle["rag"]) if bundle["rag"] else None,
                    engine=Engine(**bundle["engine"]),
                ),
            )
            recorded = document["digest"]
        except (ValueError, KeyError, TypeError) as error:
            raise ManifestInvalid(f"Not a revision manifest: {error}") from error
        if recorded != manifest.digest:
            raise ManifestInvalid(
                f"The manifest of {manifest.name} records {recorded} but hashes to {manifest.digest}."
            )
        if (
            manifest.bundle.prompt
            and digest_bytes(manifest.bundle.prompt.template.encode()) != manifest.bundle.prompt.digest
        ):
            raise ManifestInvalid(f"The prompt in the manifest of {manifest.name} does not have the digest it records.")
        return manifest


def revision_name(deployment: str, digest: Digest) -> str:
    """Name a revision after its deployment and its digest."""
    return f"{deployment}-{digest.removeprefix('sha256:')[:10]}"


class ManifestInvalid(errors.DomainError):
    """A manifest cannot be read or does not hash to its digest."""

    kind = errors.Kind.INVALID
    reason = "MANIFEST_INVALID"

"""A built revision: its digest, its name and its manifest. Pure."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime

from touchstone_runtime import revisions
from touchstone_runtime.revisions import Digest

from touchstone_retrieval.core.spec import IndexSpec

PIPELINE_VERSION = 1
"""Counts changes of what parsing, cutting and encoding make of the same input; part of every digest. A golden test
fails when the output changes: then this must change too, so that old revisions are not taken for new ones."""

MANIFEST_FILE = "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRevision:
    """What a source resolved to."""

    name: str
    digest: str
    """The content's `sha256:` digest, or the commit of a git source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a revision is: all that its digest is computed from."""

    spec: IndexSpec
    sources: tuple[SourceRevision, ...]
    embedder_digest: str
    """Digest of the model and its tokenizer; empty without an embedding."""

    def digest(self) -> Digest:
        """Digest the identity; the same everywhere for the same spec, contents and encoder."""
        return revisions.digest_json(
            {
                "spec": self.spec.to_document(),
                "sources": [asdict(s) for s in self.sources],
                "embedder": self.embedder_digest,
                "pipeline": PIPELINE_VERSION,
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a revision holds, and what was left out."""

    documents: int
    chunks: int
    failed_documents: int
    failures: Mapping[str, int] = field(default_factory=dict)
    """How many documents were left out, by reason."""
    duplicate_documents: int = 0
    """How many had the name and the text of another; each is held once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A built revision. Written once, never changed."""

    index: str
    """`NAMESPACE/NAME` of the RagIndex."""
    identity: Identity
    counts: Counts
    average_length: float
    """Mean number of terms of a passage; BM25's avgdl. 0 without a sparse encoding."""
    size_bytes: int
    built_at: datetime

    @property
    def digest(self) -> Digest:
        """The revision's digest."""
        return self.identity.digest()

    @property
    def name(self) -> str:
        """The revision's name."""
        return revision_name(self.index, self.digest)

    def to_json(self) -> str:
        """Write the manifest as it is stored."""
        document = asdict(self) | {"name": self.name, "digest": self.digest, "built_at": self.built_at.isoformat()}
        return json.dumps(document, indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Manifest":
        """Read a stored manifest.

        Raises:
            ValueError: The text is not a manifest, or its digest does not fit its content.
        """
        try:
            document = json.loads(text)
            identity = document["identity"]
            manifest = cls(
                index=document["index"],
                identity=Identity(
                    spec=IndexSpec.from_document(identity["spec"]),
                    sources=tuple(SourceRevision(**s) for s in identity["sources"]),
                    embedder_digest=identity["embedder_digest"],
                ),
                counts=Counts(**document["counts"]),
                average_length=document["average_length"],
                size_bytes=document["size_bytes"],
                built_at=datetime.fromisoformat(document["built_at"]),
            )
            recorded = document["digest"]
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a manifest of an index revision: {error!r}") from error
        if recorded != manifest.digest:
            raise ValueError(f"the manifest records {recorded} but hashes to {manifest.digest}")
        return manifest


def revision_name(index: str, digest: Digest) -> str:
    """Name a revision after its index (without the namespace) and its digest."""
    return revisions.revision_name(index.partition("/")[2], digest)

"""What an index specification must satisfy before anything is started. Pure: expression languages are passed in."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

from touchstone_runtime.errors import Violation

from touchstone_retrieval.core.planning import MAX_TOP_K
from touchstone_retrieval.core.spec import (
    Chunking,
    ChunkingStrategy,
    Embedding,
    IndexSpec,
    SearchDefaults,
    SearchMode,
    Source,
)

MAX_DISPATCH_ID_BYTES = 128
MAX_SOURCES = 32
SCHEMES = ("file", "pypi", "http", "https", "git+https", "git+http", "git+file", "s3", "hf")
MODEL_SCHEMES = ("file", "pypi", "http", "https", "s3", "hf")

ExpressionFault = Callable[[str], str]
"""What is wrong with an expression; empty if nothing is."""

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,198}[a-z0-9])?")
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,62}")
_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./\-]{0,254}")


def index_faults(index: str, path: str = "index") -> Iterator[Violation]:
    """Check the name of an index."""
    namespace, slash, name = index.partition("/")
    if not (slash and _LABEL.fullmatch(namespace) and _NAME.fullmatch(name)) or ".." in name:
        yield Violation(path, "Must be NAMESPACE/NAME of the RagIndex, in lower-case letters, digits and dashes.")


def dispatch_faults(dispatch_id: str) -> Iterator[Violation]:
    """Check a dispatch id."""
    if not dispatch_id or len(dispatch_id.encode()) > MAX_DISPATCH_ID_BYTES:
        yield Violation("dispatch_id", f"Must be 1 to {MAX_DISPATCH_ID_BYTES} bytes, unique for each build.")


def spec_faults(
    spec: IndexSpec, *, jmespath_fault: ExpressionFault, glob_fault: ExpressionFault
) -> Iterator[Violation]:
    """Check a specification; every fault is reported, each with its field's path in the request."""
    if not 1 <= len(spec.sources) <= MAX_SOURCES:
        yield Violation("spec.sources", f"Must hold 1 to {MAX_SOURCES} sources.")
    for name, count in Counter(s.name for s in spec.sources).items():
        if count > 1:
            yield Violation("spec.sources", f"{count} sources are named {name!r}. Give each its own name.")
    for position, source in enumerate(spec.sources):
        path = f"spec.sources[{position}]"
        yield from _source_faults(source, path)
        yield from _expression_faults(source, path, jmespath_fault, glob_fault)
    if not (spec.has_dense or spec.has_sparse):
        yield Violation("spec.embedding", "An index needs an embedding, a sparse encoding or both. Set one.")
    if spec.embedding:
        yield from _embedding_faults(spec.embedding)
    yield from _chunking_faults(spec.chunking)
    if spec.tenant_field and not _KEY.fullmatch(spec.tenant_field):
        yield Violation("spec.tenant_field", "Must be a metadata field's name: letters, digits, '_', '.' and '-'.")
    yield from _defaults_faults(spec.defaults, spec)


def _source_faults(source: Source, path: str) -> Iterator[Violation]:
    if not _LABEL.fullmatch(source.name):
        yield Violation(f"{path}.name", "Must be lower-case letters, digits and dashes, at most 63.")
    yield from _uri_faults(source.uri, f"{path}.uri", SCHEMES)
    if source.ref and not source.uri.startswith("git+"):
        yield Violation(f"{path}.ref", "Only a git source has a ref. Remove it, or use a git+https:// address.")
    if source.ref and not _REF.fullmatch(source.ref):
        yield Violation(f"{path}.ref", "Must be a branch, tag or commit: letters, digits, '_', '.', '/' and '-'.")
    yield from _metadata_faults(source.metadata, f"{path}.metadata")
    yield from _metadata_faults(source.fields.metadata, f"{path}.fields.metadata")


def _metadata_faults(metadata: Mapping[str, str], path: str) -> Iterator[Violation]:
    if len(metadata) > 32:
        yield Violation(path, "Must hold at most 32 fields.")
    for key, value in metadata.items():
        if not _KEY.fullmatch(key):
            yield Violation(f"{path}[{key!r}]", "A name is letters, digits, '_', '.' and '-', at most 63.")
        if len(value.encode()) > 1024:
            yield Violation(f"{path}[{key!r}]", "A value is at most 1024 bytes.")


def _expression_faults(
    source: Source, path: str, jmespath_fault: ExpressionFault, glob_fault: ExpressionFault
) -> Iterator[Violation]:
    fields = source.fields
    expressions = {"records": source.records, "fields.text": fields.text, "fields.title": fields.title}
    expressions |= {"fields.id": fields.id} | {f"fields.metadata[{k!r}]": v for k, v in fields.metadata.items()}
    for name, expression in expressions.items():
        if expression and (fault := jmespath_fault(expression)):
            yield Violation(f"{path}.{name}", f"Not a JMESPath expression: {fault}.")
    for name, globs in (("include", source.include), ("exclude", source.exclude)):
        if len(globs) > 64:
            yield Violation(f"{path}.{name}", "Must hold at most 64 globs.")
        for position, glob in enumerate(globs):
            if fault := glob_fault(glob):
                yield Violation(f"{path}.{name}[{position}]", f"Not a glob: {fault}.")


def _uri_faults(uri: str, path: str, schemes: tuple[str, ...]) -> Iterator[Violation]:
    scheme = uri.partition("://")[0]
    if len(uri) > 2048 or scheme not in schemes or "://" not in uri:
        yield Violation(path, f"Must be an address of at most 2048 characters with one of {', '.join(schemes)}.")
        return
    try:
        has_password = urlsplit(uri).password is not None
    except ValueError as error:
        yield Violation(path, f"Not an address: {error}.")
        return
    if has_password:
        yield Violation(path, "Must not hold a password: it would be kept in manifests. Use a Secret.")


def _embedding_faults(embedding: Embedding) -> Iterator[Violation]:
    yield from _uri_faults(embedding.model_uri, "spec.embedding.model_uri", MODEL_SCHEMES)
    yield from _uri_faults(embedding.tokenizer_uri, "spec.embedding.tokenizer_uri", MODEL_SCHEMES)
    if not 1 <= embedding.dimensions <= 8192:
        yield Violation("spec.embedding.dimensions", "Must be 1 to 8192: the length of the model's vectors.")
    if not 8 <= embedding.max_tokens <= 8192:
        yield Violation("spec.embedding.max_tokens", "Must be 8 to 8192, or 0 for 256.")


def _chunking_faults(chunking: Chunking) -> Iterator[Violation]:
    if not 16 <= chunking.max_tokens <= 8192:
        yield Violation("spec.chunking.max_tokens", "Must be 16 to 8192, or 0 for 256.")
    if not 0 <= chunking.overlap_tokens < max(1, chunking.max_tokens):
        yield Violation("spec.chunking.overlap_tokens", "Must be 0 or more and less than max_tokens.")
    if chunking.overlap_tokens and chunking.strategy is ChunkingStrategy.DOCUMENT:
        yield Violation("spec.chunking.overlap_tokens", "Whole documents do not overlap. Set it to 0.")


def _defaults_faults(defaults: SearchDefaults, spec: IndexSpec) -> Iterator[Violation]:
    if not 1 <= defaults.top_k <= MAX_TOP_K:
        yield Violation("spec.defaults.top_k", f"Must be 1 to {MAX_TOP_K}, or 0 for 8.")
    if defaults.min_score is not None and not math.isfinite(defaults.min_score):
        yield Violation("spec.defaults.min_score", "Must be a finite number.")
    for name, weight in (("dense_weight", defaults.dense_weight), ("sparse_weight", defaults.sparse_weight)):
        if not 0 <= weight <= 10:
            yield Violation(f"spec.defaults.{name}", "Must be 0 to 10.")
    if defaults.dense_weight == defaults.sparse_weight == 0:
        yield Violation("spec.defaults.dense_weight", "One of the two weights must be more than 0.")
    if defaults.mode in (SearchMode.DENSE, SearchMode.HYBRID) and not spec.has_dense:
        yield Violation("spec.defaults.mode", "The index has no embedding. Set one, or search sparse.")
    if defaults.mode in (SearchMode.SPARSE, SearchMode.HYBRID) and not spec.has_sparse:
        yield Violation("spec.defaults.mode", "The index has no sparse encoding. Set one, or search dense.")

"""From a search request and an index's spec to what is asked of the store. Pure.

The tenant rule lives here: an index with a tenant field is never searched without a tenant, and the filter that keeps
tenants apart is made here, not by the caller.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from touchstone_runtime.errors import Violation

from touchstone_retrieval import errors
from touchstone_retrieval.core.spec import IndexSpec, SearchMode

MAX_QUERY_BYTES = 32 * 1024
MAX_TOP_K = 100
ARM_DEPTH = 100
"""How many passages each arm of a hybrid search returns to the fusion; at least the largest top_k."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A search as asked for."""

    index: str
    revision: str = ""
    """Empty: the active one."""
    text: str
    top_k: int = 0
    """0: the index's default."""
    mode: SearchMode = SearchMode.UNSPECIFIED
    filter: Mapping[str, str] = field(default_factory=dict)
    tenant: str = ""
    min_score: float | None = None
    """None: the index's default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassageFilter:
    """Keeps passages that hold all of these."""

    metadata: tuple[tuple[str, str], ...] = ()
    """Names and values, sorted."""
    tenant: str | None = None
    """None only for an index without tenants."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A search with nothing left to decide."""

    mode: SearchMode
    top_k: int
    min_score: float | None
    dense_weight: float
    sparse_weight: float
    filter: PassageFilter

    @property
    def asks_dense(self) -> bool:
        """Whether embeddings are compared."""
        return self.mode in (SearchMode.DENSE, SearchMode.HYBRID)

    @property
    def asks_sparse(self) -> bool:
        """Whether terms are compared."""
        return self.mode in (SearchMode.SPARSE, SearchMode.HYBRID)

    @property
    def depth(self) -> int:
        """How many passages each arm returns."""
        return ARM_DEPTH if self.mode is SearchMode.HYBRID else self.top_k


def check(query: Query) -> None:
    """Check what can be checked of a query without knowing its index.

    Raises:
        SearchInvalid: With every fault.
    """
    violations = []
    if not query.text.strip():
        violations.append(Violation("query", "Must not be blank. Send the text to search for."))
    if len(query.text.encode()) > MAX_QUERY_BYTES:
        violations.append(Violation("query", f"Must be at most {MAX_QUERY_BYTES} bytes. Shorten it."))
    if not 0 <= query.top_k <= MAX_TOP_K:
        violations.append(Violation("top_k", f"Must be 1 to {MAX_TOP_K}, or 0 for the index's default."))
    if query.min_score is not None and not math.isfinite(query.min_score):
        violations.append(Violation("min_score", "Must be a finite number."))
    if violations:
        raise errors.SearchInvalid(violations)


def plan(query: Query, spec: IndexSpec) -> Plan:
    """Decide what is asked of the store.

    Raises:
        SearchInvalid: The query does not fit the index; with every fault.
    """
    violations = _tenant_violations(query, spec)
    mode = _mode(query.mode, spec)
    if mode in (SearchMode.DENSE, SearchMode.HYBRID) and not spec.has_dense:
        violations.append(Violation("mode", "The index has no embedding. Search it with SEARCH_MODE_SPARSE."))
    if mode in (SearchMode.SPARSE, SearchMode.HYBRID) and not spec.has_sparse:
        violations.append(Violation("mode", "The index has no sparse encoding. Search it with SEARCH_MODE_DENSE."))
    if violations:
        raise errors.SearchInvalid(violations)
    defaults = spec.defaults
    return Plan(
        mode=mode,
        top_k=query.top_k or defaults.top_k,
        min_score=defaults.min_score if query.min_score is None else query.min_score,
        dense_weight=defaults.dense_weight,
        sparse_weight=defaults.sparse_weight,
        filter=PassageFilter(
            metadata=tuple(sorted(query.filter.items())), tenant=query.tenant if spec.tenant_field else None
        ),
    )


def _tenant_violations(query: Query, spec: IndexSpec) -> list[Violation]:
    if spec.tenant_field and not query.tenant:
        return [Violation("tenant", f"The index keeps tenants apart by {spec.tenant_field!r}. Send a tenant.")]
    if query.tenant and not spec.tenant_field:
        return [Violation("tenant", "The index has no tenant field: it cannot keep tenants apart. Leave it empty.")]
    return []


def _mode(asked: SearchMode, spec: IndexSpec) -> SearchMode:
    if asked is not SearchMode.UNSPECIFIED:
        return asked
    if spec.defaults.mode is not SearchMode.UNSPECIFIED:
        return spec.defaults.mode
    if spec.has_dense and spec.has_sparse:
        return SearchMode.HYBRID
    return SearchMode.DENSE if spec.has_dense else SearchMode.SPARSE

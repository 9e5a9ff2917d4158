"""Claims about what a search asks of the store."""

import pytest
from touchstone_retrieval import errors
from touchstone_retrieval.core import planning
from touchstone_retrieval.core.planning import Query
from touchstone_retrieval.core.spec import SearchDefaults, SearchMode, SparseEncoding


def test_an_index_with_both_arms_is_searched_with_both(make_spec):
    assert planning.plan(Query(index="a/b", text="x"), make_spec()).mode is SearchMode.HYBRID


def test_an_index_with_one_arm_is_searched_with_that(make_spec):
    dense = planning.plan(Query(index="a/b", text="x"), make_spec(sparse=SparseEncoding.NONE))
    sparse = planning.plan(Query(index="a/b", text="x"), make_spec(embedding=None))

    assert (dense.mode, sparse.mode) == (SearchMode.DENSE, SearchMode.SPARSE)


def test_what_a_search_says_goes_before_the_defaults(make_spec):
    spec = make_spec(defaults=SearchDefaults(mode=SearchMode.DENSE, top_k=3, min_score=0.5))

    plain = planning.plan(Query(index="a/b", text="x"), spec)
    asked = planning.plan(Query(index="a/b", text="x", mode=SearchMode.SPARSE, top_k=9, min_score=0.0), spec)

    assert (plain.mode, plain.top_k, plain.min_score) == (SearchMode.DENSE, 3, 0.5)
    assert (asked.mode, asked.top_k, asked.min_score) == (SearchMode.SPARSE, 9, 0.0)


def test_an_index_with_tenants_is_not_searched_without_one(make_spec):
    with pytest.raises(errors.SearchInvalid, match="tenant"):
        planning.plan(Query(index="a/b", text="x", filter={"team": "a"}), make_spec(tenant_field="team"))


def test_a_tenant_is_refused_where_it_would_not_be_kept_apart(make_spec):
    with pytest.raises(errors.SearchInvalid, match="no tenant field"):
        planning.plan(Query(index="a/b", text="x", tenant="a"), make_spec())


def test_an_arm_that_the_index_has_not_is_refused(make_spec):
    with pytest.raises(errors.SearchInvalid, match="SEARCH_MODE_SPARSE"):
        planning.plan(Query(index="a/b", text="x", mode=SearchMode.HYBRID), make_spec(embedding=None))


@pytest.mark.parametrize(
    "query",
    [
        Query(index="a/b", text=" "),
        Query(index="a/b", text="ä" * 20_000),
        Query(index="a/b", text="x", top_k=101),
        Query(index="a/b", text="x", top_k=-1),
        Query(index="a/b", text="x", min_score=float("inf")),
    ],
)
def test_a_query_outside_the_limits_is_refused(query):
    with pytest.raises(errors.SearchInvalid):
        planning.check(query)

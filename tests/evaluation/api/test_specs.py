"""Specifications through protos and back."""

from hypothesis import given
from hypothesis import strategies as st
from touchstone_evaluation.api import specs
from touchstone_evaluation.core.spec import (
    Absolute,
    BusinessMetric,
    Criterion,
    Dataset,
    Execution,
    Goal,
    ItemErrorPolicy,
    Layout,
    Operator,
    Price,
    Relative,
    RunSpec,
    Sampling,
    Subject,
    SubjectKind,
    Suite,
)
from touchstone_runtime.cluster.references import SecretReference

words = st.text("abc-/", min_size=1, max_size=8)
numbers = st.floats(-1e6, 1e6).map(lambda value: value + 0.0)  # no negative zero: a proto's default is zero
amounts = st.floats(0, 99)
prices = st.builds(Price, currency=words, input_per_million=amounts, output_per_million=amounts) | st.builds(
    Price, currency=words, per_hour=amounts
)
subjects = st.builds(
    Subject,
    kind=st.sampled_from(SubjectKind), name=words, revision=words, digest=words, price=st.none() | prices,
)  # fmt: skip
datasets = st.builds(
    Dataset,
    uri=words, digest=words, layout=st.sampled_from(Layout), records=words, filter=words, limit=st.integers(0, 99),
    seed=st.integers(-(2**63), 2**63 - 1),
    credentials=st.none() | st.builds(SecretReference, namespace=words, name=words),
)  # fmt: skip
suites = st.builds(
    Suite,
    name=words,
    task=words,
    dataset=st.none() | datasets,
    contamination_corpus=st.none() | datasets,
    sampling=st.builds(
        Sampling,
        max_output_tokens=st.integers(1, 999),
        temperature=st.floats(0, 2).map(abs),
        seed=st.integers(0, 99),
        repeats=st.integers(1, 32),
    ),
    parameters=st.dictionaries(words, st.integers(-9, 9) | words | st.booleans() | st.lists(words), max_size=3),
    weight=st.floats(0, 9),
)
criteria = st.builds(
    Criterion,
    name=words,
    metric=words,
    goal=st.none() | st.sampled_from(Goal),
    absolute=st.none() | st.builds(Absolute, operator=st.sampled_from(Operator), value=numbers),
    relative=st.none()
    | st.builds(
        Relative,
        max_regression=st.none() | numbers,
        min_improvement=st.none() | numbers,
        confidence=st.floats(0.51, 0.99),
    ),
    min_samples=st.integers(1, 99),
    required=st.booleans(),
    business_metric=st.none()
    | st.builds(
        BusinessMetric, name=words, unit=words, curve=st.lists(st.tuples(numbers, numbers), max_size=3).map(tuple)
    ),
)
executions = st.builds(
    Execution,
    parallelism=st.integers(1, 64), max_tokens=st.integers(0, 10**9), on_item_error=st.sampled_from(ItemErrorPolicy),
    max_error_ratio=st.floats(0, 1), deadline_seconds=st.integers(1, 86_400), log_samples=st.booleans(),
)  # fmt: skip


@given(
    st.builds(
        RunSpec,
        subject=subjects,
        baseline=st.none() | subjects,
        suites=st.lists(suites, max_size=3).map(tuple),
        criteria=st.lists(criteria, max_size=3).map(tuple),
        execution=executions,
    )
)
def test_what_is_written_is_read_again(spec: RunSpec) -> None:
    assert specs.read(specs.write(spec)) == spec

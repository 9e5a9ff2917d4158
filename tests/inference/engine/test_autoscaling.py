"""How many replicas are wanted on Ray: by the load that replicas report."""

from types import SimpleNamespace

import pytest
from touchstone_inference.ray_serve.autoscaling import CACHE_USAGE, REQUESTS, ByLoad


@pytest.mark.parametrize(
    ("reported", "wanted"),
    [({"a": 0.0}, 1), ({"a": 16.0}, 1), ({"a": 17.0}, 2), ({"a": 40.0, "b": 8.0}, 3)],
)
def test_each_replica_has_its_share_of_requests(reported: dict[str, float], wanted: int) -> None:
    context = SimpleNamespace(aggregated_metrics={REQUESTS: reported}, target_num_replicas=1)
    assert ByLoad({REQUESTS: 16})(context)[0] == wanted


@pytest.mark.parametrize(("usage", "wanted"), [([0.5], 1), ([0.9], 2), ([0.85, 0.85], 2), ([0.9, 0.9], 3)])
def test_each_replica_has_its_share_of_what_is_cached(usage: list[float], wanted: int) -> None:
    reported = {str(place): share for place, share in enumerate(usage)}
    context = SimpleNamespace(aggregated_metrics={CACHE_USAGE: reported}, target_num_replicas=1)
    assert ByLoad({CACHE_USAGE: 0.85})(context)[0] == wanted


def test_of_several_loads_the_one_that_wants_most_counts() -> None:
    reported = {REQUESTS: {"a": 8.0, "b": 8.0}, CACHE_USAGE: {"a": 0.9, "b": 0.9}}
    context = SimpleNamespace(aggregated_metrics=reported, target_num_replicas=2)
    assert ByLoad({REQUESTS: 16, CACHE_USAGE: 0.6})(context)[0] == 3


def test_nothing_changes_while_nobody_reports() -> None:
    context = SimpleNamespace(aggregated_metrics={}, target_num_replicas=3)
    assert ByLoad({REQUESTS: 16})(context)[0] == 3

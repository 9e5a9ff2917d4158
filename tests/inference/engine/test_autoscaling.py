"""How many replicas are wanted on Ray: by the load that replicas report."""

from types import SimpleNamespace

import pytest
from touchstone_inference.ray_serve.autoscaling import LOAD, ByRequests


@pytest.mark.parametrize(
    ("reported", "wanted"),
    [({"a": 0.0}, 1), ({"a": 16.0}, 1), ({"a": 17.0}, 2), ({"a": 40.0, "b": 8.0}, 3)],
)
def test_each_replica_has_its_share_of_requests(reported: dict[str, float], wanted: int) -> None:
    context = SimpleNamespace(aggregated_metrics={LOAD: reported}, target_num_replicas=1)
    assert ByRequests(target_requests=16)(context)[0] == wanted


def test_nothing_changes_while_nobody_reports() -> None:
    context = SimpleNamespace(aggregated_metrics={}, target_num_replicas=3)
    assert ByRequests(target_requests=16)(context)[0] == 3

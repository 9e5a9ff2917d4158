"""How many replicas are wanted: a policy of Serve's autoscaler, named in serveConfigV2."""

import math
from collections.abc import Mapping
from typing import Any

REQUESTS = "requests"
"""What replicas report: requests that run or wait."""
CACHE_USAGE = "kv_cache_usage"
"""What replicas report: the share of the KV cache in use, 0 to 1."""


class ByLoad:
    """Enough replicas for each to have so much of every load that has a target; the load is what replicas report."""

    def __init__(self, targets: Mapping[str, float]) -> None:
        """Take what one replica should have, by the name of what is reported."""
        self._targets = dict(targets)

    def __call__(self, context: Any) -> tuple[int, dict[str, Any]]:
        """Decide from Serve's AutoscalingContext; Serve keeps to the bounds and the delays."""
        reported = context.aggregated_metrics or {}
        wanted = [
            math.ceil(round(sum(reported[name].values()) / target, 9))  # 3 x 0.1 / 0.1 is no more than 3
            for name, target in self._targets.items()
            if reported.get(name)
        ]
        return (max(1, *wanted) if wanted else context.target_num_replicas), {}

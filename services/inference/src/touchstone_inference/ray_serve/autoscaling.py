"""How many replicas are wanted: a policy of Serve's autoscaler, named in serveConfigV2."""

import math
from typing import Any

LOAD = "requests"
"""The number that replicas report: requests that run or wait."""


class ByRequests:
    """Enough replicas for each to have so many requests, running and waiting; the load is what replicas report."""

    def __init__(self, target_requests: float) -> None:
        """Take the requests that one replica should have."""
        self._target = target_requests

    def __call__(self, context: Any) -> tuple[int, dict[str, Any]]:
        """Decide from Serve's AutoscalingContext; Serve keeps to the bounds and the delays."""
        reported = (context.aggregated_metrics or {}).get(LOAD) or {}
        if not reported:
            return context.target_num_replicas, {}
        return max(1, math.ceil(sum(reported.values()) / self._target)), {}

"""The Serve application of a revision: `touchstone_inference.ray_serve.app:build` in a RayService's serveConfigV2.

Serve places, counts, scales and replaces the replicas. Tokens do not pass through it: each replica is a gRPC server of
its own in its pod, which the router calls as it calls every other engine. Between the two roles prompts go through
Serve's handles. Measured in docs/gpu.md.
"""

from typing import Literal, TypedDict

from ray import serve
from ray.serve import Application

from touchstone_inference.ray_serve.replica import Replica

ENGINE, PREFILL = "engine", "prefill"
"""Names of the deployments. The engine is what the router reaches: the whole of it, or what decodes."""
RESOURCES = {ENGINE: "touchstone_engine", PREFILL: "touchstone_prefill"}
"""Resources of Ray that the pods of a role have one of: a replica a pod, and each in its place."""
DRAIN_SECONDS = 60.0


class Arguments(TypedDict, total=False):
    """The application's `args`."""

    mode: Literal["Aggregated", "Disaggregated"]


def build(args: Arguments) -> Application:
    """Build the application. How many replicas there are, and what each takes, the configuration says."""
    if args.get("mode", "Aggregated") == "Aggregated":
        return _deployment(ENGINE).bind()
    return _deployment(ENGINE).bind(_deployment(PREFILL).bind())


def _deployment(name: str) -> serve.Deployment:
    deployment: serve.Deployment = serve.deployment(
        Replica,
        name=name,
        ray_actor_options={"num_cpus": 0, "resources": {RESOURCES[name]: 1}},
        health_check_period_s=2.0,
        health_check_timeout_s=10.0,
        graceful_shutdown_wait_loop_s=1.0,
        graceful_shutdown_timeout_s=DRAIN_SECONDS,
    )
    return deployment

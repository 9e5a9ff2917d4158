"""The roles of a deployment, with their defaults. Pure."""

from touchstone_operator.api.modeldeployment import ModelDeploymentSpec
from touchstone_operator.api.servings import RoleSpec


def roles(spec: ModelDeploymentSpec) -> tuple[RoleSpec, ...]:
    """List all roles."""
    if spec.serving is None or spec.serving.mode == "Aggregated":
        return (role(spec),)
    return (spec.serving.prefill or RoleSpec(), spec.serving.decode or RoleSpec())


def role(spec: ModelDeploymentSpec) -> RoleSpec:
    """Take the one role of an aggregated deployment; its defaults when nothing is set."""
    return (spec.serving.aggregated if spec.serving else None) or RoleSpec()


def replicas(spec: ModelDeploymentSpec) -> int:
    """Take the number of replicas of the one role of an aggregated deployment."""
    wanted = role(spec).replicas
    return 1 if wanted is None else wanted

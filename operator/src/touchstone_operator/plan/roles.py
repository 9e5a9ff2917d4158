"""The roles of a deployment, with their defaults. Pure."""

from touchstone_operator.api.modeldeployment import ModelDeploymentSpec
from touchstone_operator.api.servings import RoleSpec


def roles(spec: ModelDeploymentSpec) -> tuple[RoleSpec, ...]:
    """List all roles."""
    serving = spec.serving
    if serving is None or not is_disaggregated(spec):
        return (role(spec),)
    return (serving.prefill or RoleSpec(), serving.decode or RoleSpec())


def is_disaggregated(spec: ModelDeploymentSpec) -> bool:
    """Tell whether prefill and decode are apart."""
    return spec.serving is not None and spec.serving.mode == "Disaggregated"


def role(spec: ModelDeploymentSpec) -> RoleSpec:
    """Take the one role of an aggregated deployment; its defaults when nothing is set."""
    return (spec.serving.aggregated if spec.serving else None) or RoleSpec()


def replicas(role: RoleSpec) -> int:
    """Take the fixed number of replicas of a role."""
    return 1 if role.replicas is None else role.replicas

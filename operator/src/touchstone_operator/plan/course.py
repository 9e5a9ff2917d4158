"""One look at a ModelDeployment: what is observed, and what was resolved, judged and decided from it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from touchstone_runtime.revisions import Manifest

from touchstone_operator.api.evalrun import EvalRun
from touchstone_operator.api.evaluations import Gate, GateResult
from touchstone_operator.api.modeldeployment import ModelDeployment
from touchstone_operator.api.rollouts import Rollout
from touchstone_operator.objects import JsonObject
from touchstone_operator.plan import engines, idling, roles, workload, workloads
from touchstone_operator.plan.bundle import Contents, Unresolved
from touchstone_operator.plan.rollout_terms import Decision, Policy, State
from touchstone_operator.ports import LiveMetrics, Moved, Reached


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A ModelDeployment with what belongs to it."""

    deployment: ModelDeployment
    contents: Contents
    manifests: Mapping[str, Manifest] = field(default_factory=dict)
    """Manifests of revisions that exist, by name, newest first."""
    config_maps: Mapping[str, JsonObject] = field(default_factory=dict)
    engines: Mapping[str, JsonObject] = field(default_factory=dict)
    """What runs engines, by revision: Deployments and RayServices."""
    runs: tuple[EvalRun, ...] = ()
    """EvalRuns that the ModelDeployment controls."""
    run_objects: Mapping[str, JsonObject] = field(default_factory=dict)
    policies: tuple[JsonObject, ...] = ()
    """Its NetworkPolicies, where the platform writes any."""
    moved: Moved | None = None
    """What has moved between the roles of the stable revision; None where there is one role, or nobody answered."""
    pods: tuple[JsonObject, ...] = ()
    """Pods of engines, where their number or their fate is of interest."""
    asked: LiveMetrics | None = None
    """Requests for the stable revision over the window that idling looks at; None where nobody can say."""
    traffic: LiveMetrics | None = None
    """Counters of the stable revision; None where it was not looked at, or nobody answered."""
    reached: Reached | None = None
    """What the engines of the stable revision reach; None as above."""
    live: Mapping[str, LiveMetrics | None] = field(default_factory=dict)
    """Counters by gate, of the revision whose live metrics are watched."""

    @property
    def rollout(self) -> Rollout:
        """How a new revision takes over."""
        return self.deployment.spec.rollout or Rollout()

    @property
    def gates(self) -> dict[str, Gate]:
        """Gates by name."""
        return {gate.name: gate for gate in self.rollout.gates or ()}

    @property
    def is_disaggregated(self) -> bool:
        """Whether prefill and decode are apart."""
        return roles.is_disaggregated(self.deployment.spec)

    @property
    def replicas(self) -> int:
        """How many engines a revision runs, of all its roles."""
        return workloads.wanted_replicas(self.deployment)

    @property
    def ready(self) -> frozenset[str]:
        """Revisions whose engines are all ready; engines that are somebody else's always are."""
        here = {name for name, obj in self.engines.items() if engines.is_ready(obj, replicas=self.replicas)}
        return frozenset(here | {name for name, m in self.manifests.items() if not workload.has_engines(m)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One look at a deployment: what was resolved, judged and decided."""

    observed: Observed
    manifest: Manifest | Unresolved
    before: State
    policy: Policy
    decision: Decision
    results: Mapping[str, GateResult]
    judged: str
    """The revision that results are of."""
    now: datetime

    @property
    def is_resting(self) -> bool:
        """Whether the stable revision has no engines since nobody asks it."""
        return idling.rests(self.observed.deployment, self.decision.stage, self.observed.asked)

    @property
    def target(self) -> str:
        """The revision that the spec asks for; empty when it does not resolve."""
        return "" if isinstance(self.manifest, Unresolved) else self.manifest.name

    @property
    def known(self) -> Mapping[str, Manifest]:
        """Manifests by revision, the target's among them."""
        target = {} if isinstance(self.manifest, Unresolved) else {self.manifest.name: self.manifest}
        return target | dict(self.observed.manifests)

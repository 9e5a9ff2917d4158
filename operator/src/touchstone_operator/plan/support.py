"""What this version cannot do, field by field. Pure."""

from collections.abc import Callable, Iterable

from touchstone_operator.api.evaluations import Evaluation, Gate
from touchstone_operator.api.modeldeployment import ModelDeploymentSpec
from touchstone_operator.api.servings import Parallelism, RoleSpec
from touchstone_operator.plan import roles


def unsupported(spec: ModelDeploymentSpec) -> str:
    """Name the first field that asks for what this version cannot do, and the way out; empty where there is none."""
    for field, is_asked, advice in _UNSUPPORTED:
        if is_asked(spec):
            return f"{field} is not supported yet: {advice}."
    return of_gates((spec.rollout.gates if spec.rollout else None) or (), "spec.rollout.gates")


def of_gates(gates: Iterable[Gate], path: str) -> str:
    """Name the first such field of the evaluations that gates make.

    Args:
        gates: The gates.
        path: Where they stand in the object that the user wrote.
    """
    found = (
        of_evaluation(gate.eval_run_template.spec, f"{path}[{gate.name}].evalRunTemplate.spec")
        for gate in gates
        if gate.eval_run_template
    )
    return next(filter(None, found), "")


def of_evaluation(spec: Evaluation, path: str) -> str:
    """Name the first such field of an evaluation: of an EvalRun, or of what makes one.

    Args:
        spec: The evaluation.
        path: Where it stands in the object that the user wrote.
    """
    outputs = spec.outputs
    fields = (
        ("outputs.uri", bool(outputs and outputs.uri), "reports go to the platform's artefact store; remove it"),
        ("outputs.credentialsSecretRef", bool(outputs and outputs.credentials_secret_ref), "remove it"),
    )
    return next((f"{path}.{name} is not supported yet: {way}." for name, is_asked, way in fields if is_asked), "")


def _addresses(spec: ModelDeploymentSpec) -> tuple[str, ...]:
    return (spec.model.uri or "", *(each.source.uri or "" for each in spec.adapters or ()))


def _connector(spec: ModelDeploymentSpec) -> str:
    return spec.serving.kv_transfer.connector if spec.serving and spec.serving.kv_transfer else ""


def _parallelisms(spec: ModelDeploymentSpec) -> tuple[Parallelism, ...]:
    return tuple(each.parallelism for each in roles.roles(spec) if each.parallelism is not None)


def _spread(role: RoleSpec) -> int:
    parallelism = role.parallelism or Parallelism()
    return parallelism.tensor * parallelism.pipeline


def _devices(role: RoleSpec) -> int:
    gpu = role.resources.gpu if role.resources else None
    return max(1, gpu.count if gpu else 1)


def _is_parallel(role: RoleSpec) -> bool:
    return role.parallelism is not None and role.parallelism != Parallelism()


_UNSUPPORTED: tuple[tuple[str, Callable[[ModelDeploymentSpec], bool], str], ...] = (
    (
        "spec.adapters with spec.engine.type External",
        lambda s: bool(s.adapters) and s.engine.type == "External",
        "remove them: what an API serves, it serves under names of its own",
    ),
    (
        "spec.adapterPolicy",
        lambda s: s.adapter_policy is not None,
        "set max-loras and max-lora-rank in spec.engine.args",
    ),
    ("spec.model.trustRemoteCode", lambda s: s.model.trust_remote_code, "no engine runs code of weights; remove it"),
    (
        "spec.engine.type External without an https:// address in spec.model.uri",
        lambda s: s.engine.type == "External" and not (s.model.uri or "").startswith("https://"),
        "give the address of an OpenAI-compatible API",
    ),
    (
        "spec.model.uri https:// without spec.engine.type External",
        lambda s: s.engine.type != "External" and (s.model.uri or "").startswith("https://"),
        "give the address of weights",
    ),
    (
        "an address of pvc://",
        lambda s: any(uri.startswith("pvc://") for uri in _addresses(s)),
        "use hf://, s3://, gs://, oci://, file:// or pypi://",
    ),
    (
        "spec.serving.mode Disaggregated without spec.engine.type VLLM",
        lambda s: bool(s.engine.type != "VLLM" and s.serving and s.serving.mode != "Aggregated"),
        "use Aggregated",
    ),
    (
        "spec.serving.aggregated.scaling without spec.engine.type VLLM",
        lambda s: s.engine.type != "VLLM" and roles.role(s).scaling is not None,
        "set replicas",
    ),
    (
        "spec.serving.aggregated.parallelism without spec.engine.type VLLM",
        lambda s: s.engine.type != "VLLM" and _is_parallel(roles.role(s)),
        "remove it: one replica is one process",
    ),
    (
        "parallelism.data and parallelism.expert",
        lambda s: any(p.data > 1 or p.expert for p in _parallelisms(s)),
        "use tensor and pipeline",
    ),
    (
        "parallelism over more devices than resources.gpu.count",
        lambda s: any(_devices(r) < _spread(r) for r in roles.roles(s) if s.engine.type == "VLLM"),
        "ask for tensor x pipeline devices: one replica is one pod",
    ),
    (
        "scaling.idleReplicas other than 0",
        lambda s: any(r.scaling and r.scaling.idle_replicas for r in roles.roles(s)),
        "use 0, or remove it: minReplicas is kept",
    ),
    (
        "serving.prefill.scaling.idleReplicas",
        lambda s: bool(
            s.serving
            and s.serving.prefill
            and s.serving.prefill.scaling
            and s.serving.prefill.scaling.idle_replicas is not None
        ),
        "set it for decode: both roles rest together",
    ),
    (
        "scaling.minReplicas 0",
        lambda s: any(r.scaling and r.scaling.min_replicas == 0 for r in roles.roles(s)),
        "keep at least one replica",
    ),
    (
        "spec.serving.kvTransfer.connector",
        lambda s: _connector(s) not in ("", "Nixl", "SharedStorage"),
        "use Nixl",
    ),
    (
        "spec.serving.kvTransfer.connector SharedStorage without spec.cache.pvc",
        lambda s: _connector(s) == "SharedStorage" and not (s.cache and s.cache.pvc),
        "name a claim that all pods can write to, or use Nixl",
    ),
    (
        "spec.access.auth",
        lambda s: bool(s.access and s.access.auth),
        "remove it: what the router asks for holds for all",
    ),
    ("spec.access.quotas", lambda s: bool(s.access and s.access.quotas), "remove it"),
    ("spec.expose.inferencePool", lambda s: bool(s.expose and s.expose.inference_pool), "set it to false"),
    ("spec.tracing", lambda s: s.tracing is not None, "remove it: the platform's tracing applies"),
    ("spec.cache.prefetch", lambda s: bool(s.cache and s.cache.prefetch), "set it to false"),
)

"""Reconciles ModelDeployments: reads what a plan needs, has it planned, carries it out."""

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass

from touchstone_runtime.cluster import references
from touchstone_runtime.revisions import Adapter, Digest, Manifest, Model

from touchstone_operator import errors, objects
from touchstone_operator.api.bundles import AdapterSpec, ModelSource
from touchstone_operator.api.evalrun import EvalRun
from touchstone_operator.api.finetunejob import FinetuneJob
from touchstone_operator.api.modeldeployment import ModelDeployment
from touchstone_operator.api.ragindex import RagIndex
from touchstone_operator.objects import JsonObject, Key
from touchstone_operator.plan import (
    addresses,
    artifacts,
    bundle,
    conditions,
    engines,
    idling,
    modeldeployment,
    modeldeployment_conditions,
    performance,
    roles,
    support,
    workloads,
)
from touchstone_operator.plan.bundle import Contents, Unresolved
from touchstone_operator.plan.course import Observed
from touchstone_operator.plan.workload import Platform
from touchstone_operator.ports import LiveMetrics, Moved, Outside, Reached
from touchstone_operator.reconcile.execution import Execution
from touchstone_operator.reconcile.manifests import read as read_manifests
from touchstone_operator.reconcile.outcome import Outcome

_WITHOUT_SECRETS = (
    "Give the digest of the weights in spec.model.revision, so that they need not be looked up, or let the operator "
    "read it: by a RoleBinding in this namespace, or everywhere by the chart's value operator.readSecrets."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDeployments:
    """The reconciler of ModelDeployments."""

    outside: Outside
    platform: Platform

    async def reconcile(self, key: Key) -> Outcome:
        """Look at a ModelDeployment once."""
        obj = await self.outside.cluster.get(objects.MODEL_DEPLOYMENT, key.namespace, key.name)
        if obj is None or obj["metadata"].get("deletionTimestamp"):
            return Outcome()
        deployment = ModelDeployment.read(obj)
        execution = Execution(self.outside.cluster, self.outside.now, objects.MODEL_DEPLOYMENT, obj)
        if not deployment.status.conditions:
            await execution.write_conditions(conditions.first_sight(modeldeployment_conditions.TYPES))
            return Outcome(requeue_at=self.outside.now())
        observed = await self._observe(deployment)
        plan = modeldeployment.plan(observed, self.platform, self.outside.now())
        found = (*observed.config_maps.values(), *observed.engines.values(), *observed.policies)
        await execution.carry_out(plan, found=found)
        return Outcome(requeue_at=plan.requeue_at)

    async def _observe(self, deployment: ModelDeployment) -> Observed:
        namespace, name = deployment.metadata.namespace, deployment.metadata.name
        labels = objects.labels(objects.MODEL_DEPLOYMENT, name)
        cluster = self.outside.cluster
        kinds = [objects.CONFIG_MAP, objects.EVAL_RUN, objects.DEPLOYMENT]
        kinds += [objects.RAY_SERVICE] if self.platform.has_ray else []
        kinds += [objects.NETWORK_POLICY] if self.platform.namespace else []
        listed = await asyncio.gather(*(cluster.list(kind, namespace, labels=labels) for kind in kinds))
        own = {kind: _controlled(objs, deployment) for kind, objs in zip(kinds, listed, strict=True)}
        config_maps, runs = own[objects.CONFIG_MAP], own[objects.EVAL_RUN]
        workloads = own[objects.DEPLOYMENT] + own.get(objects.RAY_SERVICE, [])
        running = [obj for obj in workloads if not obj["metadata"].get("deletionTimestamp")]
        manifests = read_manifests(config_maps)
        traffic, reached = await self._performance(deployment)
        return Observed(
            deployment=deployment,
            contents=await self._contents(deployment, manifests),
            manifests=manifests,
            config_maps={obj["metadata"]["name"]: obj for obj in config_maps},
            engines={obj["metadata"]["name"]: obj for obj in running},
            runs=tuple(EvalRun.read(obj) for obj in runs),
            run_objects={obj["metadata"]["name"]: obj for obj in runs},
            policies=tuple(own.get(objects.NETWORK_POLICY, ())),
            pods=await self._pods(deployment, running),
            asked=await self._asked(deployment),
            live=await self._live(deployment),
            moved=await self._moved(deployment),
            traffic=traffic,
            reached=reached,
        )

    async def _contents(self, deployment: ModelDeployment, manifests: Mapping[str, Manifest]) -> Contents:
        spec, namespace = deployment.spec, deployment.metadata.namespace
        prompt: str | None = None
        index: RagIndex | None = None
        if spec.prompt:
            reference = spec.prompt.config_map_key_ref
            config_map = await self.outside.cluster.get(objects.CONFIG_MAP, namespace, reference.name)
            prompt = ((config_map or {}).get("data") or {}).get(reference.key)
        if spec.rag:
            found = await self.outside.cluster.get(objects.RAG_INDEX, namespace, spec.rag.index_ref.name)
            index = RagIndex.read(found) if found else None
        return Contents(
            model=await self._model(deployment, manifests),
            adapters=await self._adapters(deployment, manifests),
            prompt=prompt,
            index=index,
            default_image=self.platform.vllm_image if spec.engine.type == "VLLM" else self.platform.engine_image,
            has_ray=self.platform.has_ray,
            has_network_policies=bool(self.platform.namespace),
        )

    async def _model(self, deployment: ModelDeployment, manifests: Mapping[str, Manifest]) -> Model | Unresolved:
        model = deployment.spec.model
        served_name = model.name or deployment.metadata.name
        if model.finetune_job_ref:
            name = model.finetune_job_ref.name
            return artifacts.model(served_name, name, await self._job(deployment, name), manifests.values())
        uri = addresses.at(model.uri or "", model.revision)
        digest = await self._model_digest(deployment, uri, manifests, served_name)
        if isinstance(digest, Unresolved):
            return digest
        return Model(uri=uri, digest=digest, name=served_name)

    async def _job(self, deployment: ModelDeployment, name: str) -> FinetuneJob | None:
        found = await self.outside.cluster.get(objects.FINETUNE_JOB, deployment.metadata.namespace, name)
        return FinetuneJob.read(found) if found else None

    async def _model_digest(
        self, deployment: ModelDeployment, uri: str, manifests: Mapping[str, Manifest], served_name: str
    ) -> Digest | Unresolved:
        model = deployment.spec.model
        known = bundle.declared_digest(model, deployment.spec.engine.type, served_name)
        known = known or bundle.pinned_digest(uri, manifests.values())
        if known or support.unsupported(deployment.spec):
            return known or Unresolved("NotSupportedYet", "The weights are not looked for.")
        credentials = await self._credentials(deployment) if references.is_taken(uri) else {}
        return credentials if isinstance(credentials, Unresolved) else await self._look_up(uri, credentials)

    async def _adapters(
        self, deployment: ModelDeployment, manifests: Mapping[str, Manifest]
    ) -> tuple[Adapter | Unresolved, ...]:
        if support.unsupported(deployment.spec):
            return ()
        wanted = deployment.spec.adapters or ()
        return tuple([await self._adapter(deployment, each, manifests) for each in wanted])

    async def _adapter(
        self, deployment: ModelDeployment, wanted: AdapterSpec, manifests: Mapping[str, Manifest]
    ) -> Adapter | Unresolved:
        if wanted.source.finetune_job_ref:
            name = wanted.source.finetune_job_ref.name
            return artifacts.adapter(wanted, name, await self._job(deployment, name), manifests.values())
        uri = addresses.at(wanted.source.uri or "", wanted.source.revision)
        source = ModelSource(uri=uri, revision=wanted.source.revision)
        known = {each.uri: each.digest for m in manifests.values() for each in m.bundle.adapters}
        digest = bundle.declared_digest(source, deployment.spec.engine.type, wanted.name) or known.get(uri)
        resolved = digest or await self._look_up(uri, {})
        if isinstance(resolved, Unresolved):
            return resolved
        return Adapter(name=wanted.name, uri=uri, digest=resolved, rank=wanted.rank or 0)

    async def _look_up(self, uri: str, credentials: Mapping[str, str]) -> Digest | Unresolved:
        try:
            return await self.outside.models.digest(uri, credentials=credentials)
        except errors.ModelUnresolved as error:
            return Unresolved("ModelResolving", error.message, is_waiting=True)
        except errors.ModelNotFound as error:
            return Unresolved("ModelNotFound", error.message)

    async def _credentials(self, deployment: ModelDeployment) -> dict[str, str] | Unresolved:
        """Read the Secret that the weights are looked up with."""
        reference = deployment.spec.model.credentials_secret_ref
        if reference is None:
            return {}
        name = f"The Secret {reference.name} of spec.model.credentialsSecretRef"
        try:
            secret = await self.outside.cluster.get(objects.SECRET, deployment.metadata.namespace, reference.name)
        except errors.ClusterForbidden:
            return Unresolved("CredentialsForbidden", f"{name} may not be read. {_WITHOUT_SECRETS}")
        if secret is None:
            return Unresolved("CredentialsNotFound", f"{name} does not exist. Create it in this namespace.")
        data = secret.get("data") or {}
        return {key: base64.b64decode(value).decode(errors="replace") for key, value in data.items()}

    async def _pods(self, deployment: ModelDeployment, running: list[JsonObject]) -> tuple[JsonObject, ...]:
        """List the pods of engines: while some are not ready, and where their number follows the load."""
        wanted = workloads.wanted_replicas(deployment)
        is_scaling = any(role.scaling is not None for role in roles.roles(deployment.spec))
        if not is_scaling and all(engines.is_ready(obj, replicas=wanted) for obj in running):
            return ()
        labels = objects.labels(objects.MODEL_DEPLOYMENT, deployment.metadata.name)
        return tuple(await self.outside.cluster.list(objects.POD, deployment.metadata.namespace, labels=labels))

    async def _asked(self, deployment: ModelDeployment) -> LiveMetrics | None:
        """Read how often the stable revision was asked, where that decides whether it rests."""
        window = idling.window_seconds(deployment)
        if window is None:
            return None
        model = f"{deployment.metadata.namespace}/{deployment.metadata.name}"
        try:
            return await self.outside.traffic.metrics(model, deployment.status.stable_revision or "", window)
        except (errors.PeerUnavailable, errors.PeerRefused):
            return None

    async def _performance(self, deployment: ModelDeployment) -> tuple[LiveMetrics | None, Reached | None]:
        stable = deployment.status.stable_revision or ""
        if not performance.is_due(deployment.status.performance, stable, self.outside.now()):
            return None, None
        model = f"{deployment.metadata.namespace}/{deployment.metadata.name}"
        traffic = self.outside.traffic
        try:
            metrics = await traffic.metrics(model, stable, performance.WINDOW_SECONDS)
            return metrics, await traffic.reached(model, stable)
        except (errors.PeerUnavailable, errors.PeerRefused):
            return None, None

    async def _moved(self, deployment: ModelDeployment) -> Moved | None:
        stable = deployment.status.stable_revision
        if not stable or not roles.is_disaggregated(deployment.spec):
            return None
        try:
            model = f"{deployment.metadata.namespace}/{deployment.metadata.name}"
            return await self.outside.traffic.moved(model, stable)
        except (errors.PeerUnavailable, errors.PeerRefused):
            return None

    async def _live(self, deployment: ModelDeployment) -> dict[str, LiveMetrics | None]:
        revision, gates = modeldeployment.watched_gates(deployment)
        model = f"{deployment.metadata.namespace}/{deployment.metadata.name}"
        live: dict[str, LiveMetrics | None] = {}
        for gate in gates:
            try:
                live[gate.name] = await self.outside.traffic.metrics(model, revision, gate.window_seconds)
            except (errors.PeerUnavailable, errors.PeerRefused):
                live[gate.name] = None
        return live


def _controlled(found: list[JsonObject], deployment: ModelDeployment) -> list[JsonObject]:
    """Keep what the ModelDeployment itself made, not what carries its labels or belongs to a namesake before it."""
    return [obj for obj in found if objects.is_controlled_by(objects.metadata(obj), deployment.metadata)]

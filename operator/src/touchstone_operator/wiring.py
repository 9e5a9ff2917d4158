"""From settings to a running operator: the composition root."""

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime

from touchstone_runtime import artefacts, channels, process, telemetry
from touchstone_runtime.telemetry import names

from touchstone_operator import objects
from touchstone_operator.adapters import kube
from touchstone_operator.adapters.artefacts import ModelDigests
from touchstone_operator.adapters.data import DataClient
from touchstone_operator.adapters.evaluation import EvaluationClient
from touchstone_operator.adapters.finetuning import FinetuningClient
from touchstone_operator.adapters.inference import TrafficClient, addresses
from touchstone_operator.adapters.retrieval import RetrievalClient
from touchstone_operator.edge import definitions, health, watching
from touchstone_operator.edge.lease import Lease
from touchstone_operator.edge.queue import WorkQueue
from touchstone_operator.objects import Key
from touchstone_operator.plan.workload import Doors, Platform
from touchstone_operator.ports import Outside
from touchstone_operator.reconcile.evalruns import EvalRuns
from touchstone_operator.reconcile.finetunejobs import FinetuneJobs
from touchstone_operator.reconcile.modeldeployments import ModelDeployments
from touchstone_operator.reconcile.modelselections import ModelSelections
from touchstone_operator.reconcile.outcome import Outcome, Reconciler
from touchstone_operator.reconcile.ragindexes import RagIndexes
from touchstone_operator.settings import OperatorSettings

LEASE_NAME = "touchstone-operator"


def now() -> datetime:
    """Tell the time, in UTC."""
    return datetime.now(UTC)


async def run(settings: OperatorSettings) -> None:
    """Run until a signal, or until the lease is lost."""
    observed = telemetry.setup("touchstone-operator", endpoint=settings.otlp_endpoint, log_format=settings.log_format)
    client = await kube.connect(settings.kubeconfig)
    cluster = kube.KubeCluster(client)
    queue = WorkQueue(now=now, resync_seconds=settings.resync_seconds)
    lease = Lease(
        cluster, namespace=settings.lease_namespace, name=LEASE_NAME, identity=settings.identity, now=now
    )  # fmt: skip
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(observed.shutdown)
        stack.push_async_callback(client.close)
        outside, models = await _outside(settings, cluster, stack)
        stack.push_async_callback(models.close)
        await stack.enter_async_context(health.serve(settings.listen, queue.oldest_wait_seconds))
        await definitions.wait(cluster)
        await _until_stopped(settings, queue, lease, reconcilers(settings, outside))


async def _outside(
    settings: OperatorSettings, cluster: kube.KubeCluster, stack: contextlib.AsyncExitStack
) -> tuple[Outside, ModelDigests]:
    evaluation, retrieval, data, finetuning = [
        await stack.enter_async_context(channels.connect(address))
        for address in (
            settings.evaluation_address,
            settings.retrieval_address,
            settings.data_address,
            settings.finetuning_address,
        )
    ]
    traffic = TrafficClient(
        lambda address: channels.connect(address, token_file=settings.token_file),
        lambda: addresses(settings.routers_address or settings.inference_address),
    )
    stack.push_async_callback(traffic.close)
    models = ModelDigests(artefacts.Resolver(artefacts.cache_folder(settings.artefacts_uri, settings.cache_dir)))
    outside = Outside(
        cluster=cluster,
        evaluation=EvaluationClient(evaluation),
        retrieval=RetrievalClient(retrieval),
        data=DataClient(data),
        finetuning=FinetuningClient(finetuning),
        traffic=traffic,
        models=models,
        now=now,
    )
    return outside, models


def reconcilers(settings: OperatorSettings, outside: Outside) -> Mapping[str, Reconciler]:
    """Make the reconciler of each kind."""
    files = {
        "TOUCHSTONE_ARTEFACTS_URI": settings.artefacts_uri,
        "TOUCHSTONE_CACHE_DIR": str(settings.cache_dir or ""),
    }
    platform = Platform(
        environment={
            **(files if settings.engines_share_files else {}),
            "OTEL_EXPORTER_OTLP_ENDPOINT": settings.otlp_endpoint or "",
            "TOUCHSTONE_LOG_FORMAT": settings.log_format,
            "TOUCHSTONE_PLAIN_HTTP_REGISTRIES": ",".join(settings.plain_http_registries),
        },
        doors=Doors(settings.inference_address, settings.openai_address),
        engine_image=settings.engine_image,
        vllm_image=settings.vllm_image,
        has_ray=settings.ray,
        namespace=settings.lease_namespace if settings.network_policies else "",
    )
    return {
        objects.MODEL_DEPLOYMENT.name: ModelDeployments(outside=outside, platform=platform),
        objects.RAG_INDEX.name: RagIndexes(outside=outside, endpoint=settings.retrieval_address),
        objects.EVAL_RUN.name: EvalRuns(outside=outside),
        objects.FINETUNE_JOB.name: FinetuneJobs(outside=outside),
        objects.MODEL_SELECTION.name: ModelSelections(outside=outside),
    }


async def _until_stopped(
    settings: OperatorSettings, queue: WorkQueue, lease: Lease, found: Mapping[str, Reconciler]
) -> None:
    """Stand by for the lease; with it, watch and reconcile until a signal."""
    tracer = telemetry.tracer(__name__)

    async def work(key: Key) -> Outcome:
        attributes = {names.RESOURCE_KIND: key.kind, names.RESOURCE_NAME: f"{key.namespace}/{key.name}"}
        with tracer.start_as_current_span(f"reconcile {key.kind}", attributes=attributes):
            return await found[key.kind].reconcile(key)

    signalled = asyncio.create_task(process.stop_requested())
    acquiring = asyncio.create_task(lease.acquire())
    await asyncio.wait((signalled, acquiring), return_when=asyncio.FIRST_COMPLETED)
    if signalled.done():
        acquiring.cancel()
        return
    signalled.cancel()  # from here on Kopf listens to signals
    await asyncio.wait((signalled,))
    async with asyncio.TaskGroup() as tasks:
        background = [
            tasks.create_task(queue.run(work, workers=settings.workers)),
            tasks.create_task(lease.keep()),
        ]
        await watching.watch(
            queue,
            namespace=settings.watch_namespace,
            has_ray=settings.ray,
            ready=asyncio.Event(),
            stop=asyncio.Event(),
        )
        for task in background:
            task.cancel()
    await lease.release()

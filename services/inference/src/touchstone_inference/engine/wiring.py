"""From a manifest to a serving engine: the composition root."""

import asyncio
import contextlib
from dataclasses import dataclass

from touchstone_runtime import channels, telemetry
from touchstone_runtime.artefacts import Resolver, cache_folder
from touchstone_runtime.revisions import Manifest
from touchstone_runtime.server import GrpcServer, ServerSettings
from touchstone_runtime.telemetry import names

from touchstone_inference import errors
from touchstone_inference.engine.adapters import llamacpp, scripted, vllm
from touchstone_inference.engine.adapters.prefillers import GrpcPrefillers
from touchstone_inference.engine.adapters.vllm_options import Hardware, Transfer
from touchstone_inference.engine.api.servicer import EngineServicer
from touchstone_inference.engine.core import arguments
from touchstone_inference.engine.core.splitting import OnFailure, Policy, PrefixMemory, Role
from touchstone_inference.engine.ports import Adaptable, Model, Prefillers
from touchstone_inference.engine.service.adapters import Adapters
from touchstone_inference.engine.service.measuring import Measuring
from touchstone_inference.engine.service.serving import EngineService
from touchstone_inference.engine.service.splitting import Splitting
from touchstone_inference.engine.settings import EngineSettings

CHARACTERS_PER_TOKEN = 4
"""About, for the estimate of how much text a prefix cache holds."""


async def model_of(manifest: Manifest, resolver: Resolver, settings: EngineSettings) -> Model:
    """Make the model of a revision; its weights are fetched if they are not there.

    Raises:
        EngineUnsupported: No such engine runs in this process.
        Invalid: An engine argument is wrong.
        DomainError: The weights cannot be had.
    """
    engine = manifest.bundle.engine
    match engine.type:
        case scripted.ENGINE_TYPE:
            given = arguments.read(engine.args, arguments.SCRIPTED, others=("rules",))
            rules = arguments.rules(engine.args.get("rules", ""))
            return scripted.Scripted(max_model_len=engine.max_model_len, arguments=given, rules=rules)
        case llamacpp.ENGINE_TYPE:
            given = arguments.read(engine.args, arguments.LLAMACPP)
            model = manifest.bundle.model
            weights = await resolver.resolve(model.uri, digest=model.digest)
            return llamacpp.LlamaCpp(
                weights.path,
                digest=weights.digest,
                max_model_len=engine.max_model_len,
                arguments=given,
                has_adapters=bool(manifest.bundle.adapters),
            )
        case vllm.ENGINE_TYPE:
            return await _vllm(manifest, resolver, settings)
        case other:
            raise errors.EngineUnsupported(other)


async def _vllm(manifest: Manifest, resolver: Resolver, settings: EngineSettings) -> Model:
    engine, model = manifest.bundle.engine, manifest.bundle.model
    given = arguments.read(engine.args, arguments.VLLM)
    weights = await resolver.resolve(model.uri, digest=model.digest)
    return vllm.Vllm(
        weights.path,
        digest=weights.digest,
        max_model_len=engine.max_model_len,
        arguments=given,
        has_adapters=bool(manifest.bundle.adapters),
        hardware=Hardware(
            tensor_parallel=settings.tensor_parallel_size, pipeline_parallel=settings.pipeline_parallel_size
        ),
        role=settings.role,
        transfer=Transfer(
            connector=settings.kv_connector,
            recomputes=settings.on_transfer_failure is OnFailure.RECOMPUTE,
            buffer_device=settings.kv_buffer_device,
            shared_folder=settings.kv_shared_folder,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A revision's engine, not started yet."""

    manifest: Manifest
    model: Model
    service: EngineService
    servicer: EngineServicer
    adapters: Adapters | None
    measuring: Measuring
    peak_seconds: float

    async def start(self) -> None:
        """Load the model, and the adapters of the revision: none of it serves without the other."""
        for adapter in self.manifest.bundle.adapters:
            if self.adapters is None:
                raise errors.EngineCannot(self.model.description.engine_type, f"adapter '{adapter.name}'")
            await self.adapters.load(adapter.name, adapter.uri, adapter.digest)
        await self.model.start()
        if self.peak_seconds:
            await self.measuring.measure_peak(self.peak_seconds)
        self.measuring.start()


async def engine_of(
    settings: EngineSettings, stack: contextlib.AsyncExitStack, prefillers: Prefillers | None = None
) -> Engine:
    """Make the engine of a revision, ready to be started.

    Args:
        settings: Of the process.
        stack: Takes what is to be closed at the end.
        prefillers: How a decode engine reaches prefill engines. None: at `settings.prefill_address`.
    """
    manifest = Manifest.from_json(settings.revision_manifest)
    resolver = Resolver(cache_folder(settings.artefacts_uri, settings.cache_dir))
    model = await model_of(manifest, resolver, settings)
    stack.push_async_callback(model.close)
    splitting = None
    if settings.role is Role.DECODE:
        if prefillers is None:
            channel = await stack.enter_async_context(channels.connect(settings.prefill_address, retry=False))
            prefillers = GrpcPrefillers(channel)
        splitting = _splitting(settings, prefillers, model)
    attributes = {names.REVISION: manifest.name, names.ENGINE_TYPE: manifest.bundle.engine.type}
    service = EngineService(
        model, max_queued_requests=settings.max_queued_requests, splitting=splitting, attributes=attributes
    )
    measuring = Measuring(model, chip=settings.chip, attributes=attributes)
    adapters = Adapters(model, resolver) if isinstance(model, Adaptable) and manifest.bundle.adapters else None
    return Engine(
        manifest=manifest,
        model=model,
        service=service,
        servicer=EngineServicer(service, measuring, manifest, adapters),
        adapters=adapters,
        measuring=measuring,
        peak_seconds=settings.peak_seconds if settings.role is not Role.PREFILL else 0.0,
    )


def _splitting(settings: EngineSettings, prefillers: Prefillers, model: Model) -> Splitting:
    policy = Policy(
        min_tokens=settings.min_remote_prompt_tokens,
        on_failure=settings.on_transfer_failure,
        timeout_seconds=settings.prefill_timeout_seconds,
    )
    held = model.description.context_tokens * model.description.slots
    return Splitting(prefillers, policy, PrefixMemory(held * CHARACTERS_PER_TOKEN))


def server_of(settings: EngineSettings, engine: Engine) -> GrpcServer:
    """Make the gRPC server of an engine."""
    return GrpcServer(
        ServerSettings(
            listen=settings.listen,
            reflection=settings.reflection,
            drain_delay_seconds=settings.drain_delay_seconds,
            grace_seconds=settings.grace_seconds,
            max_concurrent_rpcs=engine.model.description.slots + settings.max_queued_requests + 16,
        ),
        [engine.servicer.registered()],
    )


async def run(settings: EngineSettings) -> None:
    """Serve one revision until a signal, or until its engine breaks.

    Raises:
        EngineBroke: It has; whoever watches this process starts another one.
    """
    observed = telemetry.setup("touchstone-engine", endpoint=settings.otlp_endpoint, log_format=settings.log_format)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(observed.shutdown)
        engine = await engine_of(settings, stack)
        server = server_of(settings, engine)
        await server.start()
        await engine.start()
        await server.set_serving()
        await _until_stopped_or_broken(server, engine.model)


async def _until_stopped_or_broken(server: GrpcServer, model: Model) -> None:
    stopped = asyncio.create_task(server.wait_for_signal_and_stop())
    broken = asyncio.create_task(model.wait_until_broken())
    await asyncio.wait((stopped, broken), return_when=asyncio.FIRST_COMPLETED)
    if stopped.done():
        broken.cancel()
        return await stopped
    stopped.cancel()
    raise errors.EngineBroke("The engine has died, and this process with it.")

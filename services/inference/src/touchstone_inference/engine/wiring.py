"""From a manifest to a serving engine: the composition root."""

from touchstone_runtime import telemetry
from touchstone_runtime.artefacts import Resolver, cache_folder
from touchstone_runtime.revisions import Manifest
from touchstone_runtime.server import GrpcServer, ServerSettings

from touchstone_inference import errors
from touchstone_inference.engine.adapters import llamacpp, scripted
from touchstone_inference.engine.api.servicer import EngineServicer
from touchstone_inference.engine.core import arguments
from touchstone_inference.engine.ports import Model
from touchstone_inference.engine.service import EngineService
from touchstone_inference.engine.settings import EngineSettings


async def model_of(manifest: Manifest, resolver: Resolver) -> Model:
    """Make the model of a revision; its weights are fetched if they are not there.

    Raises:
        EngineUnsupported: No such engine runs in this process.
        Invalid: An engine argument is wrong.
        DomainError: The weights cannot be had.
    """
    engine = manifest.bundle.engine
    match engine.type:
        case llamacpp.ENGINE_TYPE:
            numbers = arguments.numbers(engine.args, arguments.LLAMACPP)
            model = manifest.bundle.model
            weights = await resolver.resolve(model.uri, digest=model.digest)
            return llamacpp.LlamaCpp(
                weights.path, digest=weights.digest, max_model_len=engine.max_model_len, arguments=numbers
            )
        case scripted.ENGINE_TYPE:
            numbers = arguments.numbers(engine.args, arguments.SCRIPTED, others=("rules",))
            rules = arguments.rules(engine.args.get("rules", ""))
            return scripted.Scripted(max_model_len=engine.max_model_len, arguments=numbers, rules=rules)
        case other:
            raise errors.EngineUnsupported(other)


async def run(settings: EngineSettings) -> None:
    """Serve one revision until a signal."""
    manifest = Manifest.from_json(settings.revision_manifest)
    observed = telemetry.setup("touchstone-engine", endpoint=settings.otlp_endpoint, log_format=settings.log_format)
    resolver = Resolver(cache_folder(settings.artefacts_uri, settings.cache_dir))
    model = await model_of(manifest, resolver)
    service = EngineService(model, max_queued_requests=settings.max_queued_requests)
    server = GrpcServer(
        ServerSettings(
            listen=settings.listen,
            reflection=settings.reflection,
            drain_delay_seconds=settings.drain_delay_seconds,
            grace_seconds=settings.grace_seconds,
            max_concurrent_rpcs=model.description.slots + settings.max_queued_requests + 16,
        ),
        [EngineServicer(service, manifest).registered()],
    )
    await server.start()
    try:
        await model.start()
        await server.set_serving()
        await server.wait_for_signal_and_stop()
    finally:
        await model.close()
        observed.shutdown()

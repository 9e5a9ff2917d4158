"""What a request to train must satisfy before anything is stored. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from touchstone_runtime.cluster import references
from touchstone_runtime.errors import Violation

from touchstone_finetuning.core import resources, validation
from touchstone_finetuning.core.recipe import MergedModel, MergeRecipe, Method
from touchstone_finetuning.core.spec import DEFAULT_QUEUE, Merge, Source, TrainingSpec

MAX_ID_BYTES = 128
MAX_PRIORITY = 9
MAX_SPLIT = 0.5
SOURCE_SCHEMES = ("file", "pypi", "http", "https", "hf", "s3", "gs", "oci")
OUTPUT_SCHEMES = ("file", "s3", "gs", "oci")

_FIELDS = {"format": "data.format", "method": "objective"}
"""What a recipe's field is called in a request, where the two differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What the platform has for trainings."""

    queues: tuple[str, ...] = (DEFAULT_QUEUE,)
    """Those that workers take trainings from."""
    is_cluster: bool = False
    """Whether each training is a Kubernetes Job, which gets what it asks for."""


def dispatch_faults(dispatch_id: str) -> Iterator[Violation]:
    """Check a dispatch id."""
    if not dispatch_id or len(dispatch_id.encode()) > MAX_ID_BYTES:
        yield Violation("dispatch_id", f"Must be 1 to {MAX_ID_BYTES} bytes, unique for each training.")


def spec_faults(spec: TrainingSpec) -> Iterator[Violation]:
    """Check a specification; every fault is reported, each with its field's path in the request."""
    if not spec.run or len(spec.run.encode()) > MAX_ID_BYTES:
        yield Violation("spec.run", f"Must be 1 to {MAX_ID_BYTES} bytes: the name of what this training is of.")
    yield from _source_faults(spec.base, "spec.base")
    yield from _merge_faults(spec.merge, spec.base) if spec.merge else _training_faults(spec)
    yield from _place_faults(spec)
    yield from _limit_faults(spec)
    yield from resources.faults(spec.resources)


def platform_faults(spec: TrainingSpec, platform: Platform) -> Iterator[Violation]:
    """Check whether this platform has what a specification asks for."""
    if spec.queue not in platform.queues:
        yield Violation("spec.queue", f"There is no such queue here. Take one of {', '.join(platform.queues)}.")
    if spec.resources.gpus and spec.resources.gpus.count and not platform.is_cluster:
        yield Violation(
            "spec.resources.gpu",
            "Trainings are processes of their worker here, and use the GPUs that it has. Leave gpu out; on a cluster, "
            "have the chart make a Job for each training (finetuning.trainer.mode: Job).",
        )


def _training_faults(spec: TrainingSpec) -> Iterator[Violation]:
    if spec.data:
        yield from _source_faults(spec.data, "spec.data")
    if not 0 <= spec.validation_split <= MAX_SPLIT:
        yield Violation("spec.data.validation_split", f"Must lie between 0 and {MAX_SPLIT}.")
    yield from (
        Violation(f"spec.{_FIELDS.get(fault.field, fault.field)}", fault.description)
        for fault in validation.training(spec.method, spec.format, spec.adapter, spec.hyperparameters)
    )


def _merge_faults(merge: Merge, base: Source) -> Iterator[Violation]:
    for number, model in enumerate(merge.models):
        yield from _source_faults(model.source, f"spec.merge.models[{number}].model")
    merged = tuple(MergedModel(path=each.source.uri, weight=each.weight, density=each.density) for each in merge.models)
    recipe = MergeRecipe(method=Method.MERGE, models=merged, type=merge.type, output="", base=base.uri)
    yield from (Violation(f"spec.merge.{fault.field}", fault.description) for fault in validation.faults(recipe))


def _source_faults(source: Source, path: str) -> Iterator[Violation]:
    if source.uri.partition("://")[0] not in SOURCE_SCHEMES:
        yield Violation(f"{path}.uri", f"Must begin with one of {', '.join(f'{s}://' for s in SOURCE_SCHEMES)}.")
    if source.digest and not source.digest.startswith("sha256:"):
        yield Violation(f"{path}.digest", "Must be sha256: and 64 hexadecimal digits.")
    yield from references.faults(source.credentials, source.uri, f"{path}.credentials")


def _place_faults(spec: TrainingSpec) -> Iterator[Violation]:
    if spec.output_uri.partition("://")[0] not in OUTPUT_SCHEMES:
        yield Violation("spec.output_uri", f"Must begin with one of {', '.join(f'{s}://' for s in OUTPUT_SCHEMES)}.")
    yield from references.faults(spec.output_credentials, spec.output_uri, "spec.output_credentials")
    if spec.checkpoint_uri and not spec.checkpoint_uri.startswith("file://"):
        yield Violation("spec.checkpoints.uri", "Must begin with file://: a folder on a volume that all workers have.")


def _limit_faults(spec: TrainingSpec) -> Iterator[Violation]:
    if spec.interval_steps < 1:
        yield Violation("spec.checkpoints.interval_steps", "Must be 1 or more.")
    if spec.max_attempts < 1:
        yield Violation("spec.limits.max_attempts", "Must be 1 or more.")
    if spec.max_preemptions < 0:
        yield Violation("spec.limits.max_preemptions", "Must be 0 or more.")
    if not 0 <= spec.priority <= MAX_PRIORITY:
        yield Violation("spec.priority", f"Must be 0 to {MAX_PRIORITY}.")

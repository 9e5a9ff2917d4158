"""From the protos to the domain: requests, with every default filled in."""

from collections.abc import Mapping
from typing import TypeVar

from touchstone.finetuning.v1 import finetuning_service_pb2 as pb
from touchstone_runtime.cluster.references import SecretReference
from touchstone_runtime.errors import Violation

from touchstone_finetuning import errors
from touchstone_finetuning.api import values
from touchstone_finetuning.core import spec as defaults
from touchstone_finetuning.core.recipe import Adapter, Format, Hyperparameters, MergeType, Method, Quantization
from touchstone_finetuning.core.resources import GPU_RESOURCE, Gpus, Resources
from touchstone_finetuning.core.spec import Merge, Merged, Source, TrainingSpec

Number = TypeVar("Number")
Value = TypeVar("Value")


def spec_from(request: pb.StartTrainingRequest) -> TrainingSpec:
    """Read a specification.

    Raises:
        SpecInvalid: A part is missing, or an enumeration has a value that this version does not know.
    """
    spec = request.spec
    is_merge = spec.HasField("merge")
    is_set = {"spec.base": spec.HasField("base"), "spec.data": spec.HasField("data") or is_merge}
    violations = [Violation(field, "Must be set.") for field, is_there in is_set.items() if not is_there]

    def known(table: Mapping[Number, Value], number: Number, field: str) -> Value:
        if number not in table:
            why = f"{number} is not a value that this version knows." if number else "Must be set."
            violations.append(Violation(field, why))
            return next(iter(table.values()))
        return table[number]

    quantization = known(values.QUANTIZATIONS, spec.adapter.quantization, "spec.adapter.quantization")
    made = TrainingSpec(
        run=spec.run,
        base=_source(spec.base),
        method=Method.MERGE if is_merge else known(values.METHODS, spec.objective, "spec.objective"),
        adapter=_adapter(spec.adapter, quantization) if spec.HasField("adapter") else None,
        data=None if is_merge else _source(spec.data),
        format=Format.TEXT if is_merge else known(values.FORMATS, spec.data.format, "spec.data.format"),
        validation_split=spec.data.validation_split,
        hyperparameters=_hyperparameters(spec.hyperparameters),
        checkpoint_uri=spec.checkpoints.uri,
        interval_steps=spec.checkpoints.interval_steps or defaults.DEFAULT_INTERVAL_STEPS,
        start_afresh=spec.checkpoints.start_afresh,
        output_uri=spec.output_uri,
        output_credentials=_secret(spec.output_credentials) if spec.HasField("output_credentials") else None,
        max_attempts=spec.limits.max_attempts or defaults.DEFAULT_ATTEMPTS,
        max_preemptions=(
            spec.limits.max_preemptions if spec.limits.HasField("max_preemptions") else defaults.DEFAULT_PREEMPTIONS
        ),
        priority=spec.priority,
        resources=_resources(spec.resources),
        queue=spec.queue or defaults.DEFAULT_QUEUE,
        merge=_merge(spec.merge, known(values.MERGE_TYPES, spec.merge.type, "spec.merge.type")) if is_merge else None,
    )
    if violations:
        raise errors.SpecInvalid(violations)
    return made


def _source(given: pb.BaseModel | pb.TrainingData) -> Source:
    credentials = _secret(given.credentials) if given.HasField("credentials") else None
    return Source(uri=given.uri, digest=given.digest, credentials=credentials)


def _secret(given: pb.SecretReference) -> SecretReference:
    return SecretReference(namespace=given.namespace, name=given.name)


def _resources(given: pb.Resources) -> Resources:
    gpu = given.gpu
    gpus = Gpus(count=gpu.count, resource=gpu.resource_name or GPU_RESOURCE) if given.HasField("gpu") else None
    return Resources(cpu=given.cpu, memory=given.memory, gpus=gpus)


def _adapter(adapter: pb.Adapter, quantization: Quantization) -> Adapter:
    return Adapter(
        rank=adapter.rank,
        alpha=adapter.alpha,
        dropout=adapter.dropout,
        target_modules=tuple(adapter.target_modules) or None,
        quantization=quantization,
    )


def _merge(merge: pb.Merge, merge_type: MergeType) -> Merge:
    return Merge(
        type=merge_type,
        models=tuple(
            Merged(
                source=_source(each.model),
                weight=each.weight,
                density=each.density or 1.0,
            )
            for each in merge.models
        ),
        is_normalized=not merge.keep_sum,
    )


def _hyperparameters(given: pb.Hyperparameters) -> Hyperparameters:
    default = Hyperparameters()
    return Hyperparameters(
        epochs=given.epochs or default.epochs,
        max_steps=given.max_steps or None,
        learning_rate=given.learning_rate if given.HasField("learning_rate") else default.learning_rate,
        batch_size=given.batch_size or default.batch_size,
        gradient_accumulation=given.gradient_accumulation or default.gradient_accumulation,
        max_sequence_length=given.max_sequence_length or defaults.DEFAULT_SEQUENCE_LENGTH,
        seed=given.seed,
    )

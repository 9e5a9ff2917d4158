"""Enumerations of the protos and of the domain."""

from touchstone.finetuning.v1 import finetuning_service_pb2 as pb
from touchstone_runtime.jobs import JobState

from touchstone_finetuning.core.outcome import ArtifactType
from touchstone_finetuning.core.recipe import Format, MergeType, Method, Quantization

METHODS = {
    pb.OBJECTIVE_SUPERVISED: Method.SFT,
    pb.OBJECTIVE_PREFERENCE: Method.DPO,
    pb.OBJECTIVE_CONTINUED_PRETRAINING: Method.CONTINUED_PRETRAINING,
}
QUANTIZATIONS = {
    pb.QUANTIZATION_UNSPECIFIED: Quantization.NONE,
    pb.QUANTIZATION_NF4: Quantization.NF4,
}
MERGE_TYPES = {
    pb.MERGE_TYPE_LINEAR: MergeType.LINEAR,
    pb.MERGE_TYPE_SLERP: MergeType.SLERP,
    pb.MERGE_TYPE_TASK_ARITHMETIC: MergeType.TASK_ARITHMETIC,
    pb.MERGE_TYPE_TIES: MergeType.TIES,
    pb.MERGE_TYPE_DARE_LINEAR: MergeType.DARE_LINEAR,
    pb.MERGE_TYPE_DARE_TIES: MergeType.DARE_TIES,
}
FORMATS = {
    pb.RECORD_FORMAT_CHAT_ML: Format.CHATML,
    pb.RECORD_FORMAT_ALPACA: Format.ALPACA,
    pb.RECORD_FORMAT_TEXT: Format.TEXT,
    pb.RECORD_FORMAT_PREFERENCE: Format.PREFERENCE,
}
STATES = {
    JobState.PENDING: pb.TRAINING_STATE_PENDING,
    JobState.RUNNING: pb.TRAINING_STATE_RUNNING,
    JobState.SUCCEEDED: pb.TRAINING_STATE_SUCCEEDED,
    JobState.FAILED: pb.TRAINING_STATE_FAILED,
    JobState.CANCELLED: pb.TRAINING_STATE_CANCELLED,
}
ARTIFACT_TYPES = {
    ArtifactType.LORA_ADAPTER: pb.ARTIFACT_TYPE_LORA_ADAPTER,
    ArtifactType.MODEL: pb.ARTIFACT_TYPE_MODEL,
}

"""The kinds, as types. The CRDs are made from them."""

from touchstone_operator.api.evalrun import EvalRun
from touchstone_operator.api.finetunejob import FinetuneJob
from touchstone_operator.api.modeldeployment import ModelDeployment
from touchstone_operator.api.modelselection import ModelSelection
from touchstone_operator.api.ragindex import RagIndex

KINDS = (ModelDeployment, RagIndex, FinetuneJob, EvalRun, ModelSelection)

__all__ = ["KINDS", "EvalRun", "FinetuneJob", "ModelDeployment", "ModelSelection", "RagIndex"]

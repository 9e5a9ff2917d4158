"""What came of a training. Pure."""

from dataclasses import dataclass

from touchstone_finetuning.core.outcome import ArtifactType


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A folder with safetensors, where possible a GGUF twin, a model card and the lineage."""

    uri: str
    """With its digest."""
    digest: str
    size_bytes: int
    type: ArtifactType
    rank: int
    """Of an adapter; 0 for a model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What an artefact was made from."""

    base_model_digest: str
    dataset_digest: str
    """Empty for a merge."""
    spec_digest: str
    seed: int
    trainer_image: str
    """Empty where there was none."""
    code_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """What came of a training."""

    artifact: Artifact
    provenance: Provenance

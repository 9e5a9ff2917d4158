"""ModelSelection: candidates measured alike, and one of them chosen with the reasons. Its spec never changes."""

from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from touchstone_operator.api.common import (
    AGE_COLUMN,
    ApiModel,
    Column,
    Conditions,
    Decimal,
    Name,
    ObjectName,
    Resource,
    RevisionName,
    Timestamp,
    keyed,
    rules,
    text,
    unchanging,
)
from touchstone_operator.api.evalrun import Artifact
from touchstone_operator.api.evaluations import METRIC_PATTERN, EvalRunTemplate, RevisionReference

Attribute = Annotated[str, text(63, pattern=r"^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$")]
AttributeValue = Annotated[str, text(253, min_length=1)]


class SelectionCandidate(ApiModel):
    """A model that may be chosen: self-hosted or a provider's."""

    name: Name
    """name is unique in the selection."""
    model_deployment_ref: RevisionReference
    """modelDeploymentRef names the ModelDeployment; its price is what its answers cost."""
    attributes: Annotated[dict[str, AttributeValue], Field(max_length=32)] | None = None
    """attributes are what is known of it beforehand, as licence, contextTokens, hardware, residency. Unset: nothing."""


class Requirement(ApiModel):
    """What an attribute must be. Who does not meet it is not measured."""

    attribute: Attribute
    """attribute of the candidates."""
    one_of: Annotated[tuple[AttributeValue, ...], Field(min_length=1, max_length=32)] | None = None
    """oneOf are the texts that will do."""
    at_least: Decimal | None = None
    """atLeast is the smallest number that will do."""
    at_most: Decimal | None = None
    """atMost is the largest number that will do."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "has(self.oneOf) != (has(self.atLeast) || has(self.atMost))",
                "set oneOf for a text, or atLeast and atMost for a number",
            )
        )
    )


class SelectionObjective(ApiModel):
    """What candidates are compared by."""

    metric: Annotated[str, text(127, pattern=METRIC_PATTERN)]
    """metric is `SUITE/METRIC`; its own direction is the better one."""
    max_regression: Decimal | None = None
    """maxRegression is how much worse than the best a candidate may be, in the metric's unit and by its whole interval,
    for the next objective to decide. Unset: only the best stays."""
    confidence: Decimal = "0.95"
    """confidence is the interval's level."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("!has(self.maxRegression) || double(self.maxRegression) >= 0.0", "maxRegression must be 0 or more"),
            (
                "double(self.confidence) > 0.5 && double(self.confidence) < 1.0",
                "confidence must lie between 0.5 and 1, for example 0.95",
            ),
        )
    )


class ModelSelectionSpec(ApiModel):
    """Whom to choose among, what they must be, how they are measured, and what decides."""

    candidates: Annotated[tuple[SelectionCandidate, ...], keyed(16), Field(min_length=1)]
    """candidates are the models."""
    requirements: Annotated[tuple[Requirement, ...], Field(max_length=16)] | None = None
    """requirements are what attributes must be. Unset: all candidates are measured."""
    eval_run_template: EvalRunTemplate
    """evalRunTemplate is the EvalRun that measures each candidate; only whoever passes its criteria can be chosen."""
    objectives: Annotated[tuple[SelectionObjective, ...], Field(min_length=1, max_length=6)]
    """objectives decide, the most important first."""
    suspend: bool = False
    """suspend keeps the selection from starting."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                (
                    "self.objectives.all(o, self.evalRunTemplate.spec.suites.exists(s, "
                    "o.metric.startsWith(s.name + '/')))"
                ),
                "each objective's metric must begin with the name of a suite and a slash",
            ),
            (
                "!self.evalRunTemplate.spec.criteria.exists(c, has(c.relative))",
                "candidates have no baseline, objectives compare them: remove relative from the criteria",
            ),
            *unchanging(
                "ModelSelection",
                required=("candidates", "evalRunTemplate", "objectives"),
                optional=("requirements",),
            ),
        )
    )


class SelectionReading(ApiModel):
    """A candidate's value of one objective."""

    metric: Annotated[str, text(127)]
    """metric is `SUITE/METRIC`."""
    value: Decimal | None = None
    """value that was measured. Unset: it could not be."""
    ci_low: Decimal | None = None
    """ciLow is the lower bound of its interval."""
    ci_high: Decimal | None = None
    """ciHigh is the upper bound."""


class CandidateStatus(ApiModel):
    """What came of a candidate."""

    name: Name
    """name of the candidate."""
    eval_run: ObjectName | None = None
    """evalRun measures it. Unset: it does not meet the requirements."""
    revision: RevisionName | None = None
    """revision that was measured."""
    place: Annotated[int, Field(ge=1)] | None = None
    """place in the order. Unset: it is out, or not decided yet."""
    dominated_by: Name | None = None
    """dominatedBy is who is no worse in any objective and better in one. Unset: it is on the frontier, or out."""
    readings: Annotated[tuple[SelectionReading, ...], Field(max_length=6)] | None = None
    """readings are its values, one an objective."""
    message: Annotated[str, text(2048)] | None = None
    """message says why it stands where it does."""


class ModelSelectionStatus(ApiModel):
    """What is known of the selection."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """observedGeneration is the generation that was observed."""
    chosen: Name | None = None
    """chosen is the candidate. Unset: nobody can be, or not decided yet."""
    chosen_revision: RevisionName | None = None
    """chosenRevision is its revision."""
    message: Annotated[str, text(4096)] | None = None
    """message says why."""
    candidates: Annotated[tuple[CandidateStatus, ...], keyed(16)] | None = None
    """candidates, once decided the best first."""
    artifacts: Annotated[tuple[Artifact, ...], keyed(16)] | None = None
    """artifacts are the report's files."""
    completion_time: Timestamp | None = None
    """completionTime is when it was decided."""
    conditions: Conditions | None = None
    """conditions: Succeeded, Chosen, Suspended, Reconciling, Stalled."""


class ModelSelection(Resource):
    """A ModelSelection measures candidates alike and chooses one, with the reasons."""

    kind_name: ClassVar[str] = "ModelSelection"
    plural: ClassVar[str] = "modelselections"
    short_name: ClassVar[str] = "msel"
    object_rules: ClassVar = (
        (
            "size(self.metadata.name) <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
            (
                "metadata.name must have at most 40 characters, begin with a letter, and hold only a-z, 0-9 and '-': "
                "names of EvalRuns add a suffix to it"
            ),
        ),
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column(name="Chosen", jsonPath=".status.chosen", description="The candidate that is chosen."),
        Column(name="Revision", jsonPath=".status.chosenRevision", description="Its revision."),
        Column(
            name="Succeeded",
            jsonPath='.status.conditions[?(@.type=="Succeeded")].status',
            description="Whether it is decided; that nobody can be chosen is decided, too.",
        ),
        Column(name="Message", jsonPath=".status.message", description="Why.", priority=1),
        AGE_COLUMN,
    )

    spec: ModelSelectionSpec
    """spec is whom to choose among, and by what. Immutable but for suspend."""
    status: ModelSelectionStatus = ModelSelectionStatus()
    """status is what is known; only the operator writes it."""


__all__ = [
    "CandidateStatus",
    "ModelSelection",
    "ModelSelectionSpec",
    "ModelSelectionStatus",
    "Requirement",
    "SelectionCandidate",
    "SelectionObjective",
    "SelectionReading",
]

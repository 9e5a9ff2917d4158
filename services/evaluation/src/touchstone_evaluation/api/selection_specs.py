"""Selections: protos to our values and back. Pure."""

from touchstone.evaluation.v1 import evaluation_service_pb2 as pb
from touchstone_runtime.errors import Invalid

from touchstone_evaluation.api import specs
from touchstone_evaluation.core import validation
from touchstone_evaluation.core.selecting import Assessment, Objective, Reading
from touchstone_evaluation.core.spec import DEFAULT_CONFIDENCE
from touchstone_evaluation.service.selections import Selected, Selection, SelectionSpec, SelectionState

_STATES = {
    SelectionState.PENDING: pb.SELECTION_STATE_PENDING,
    SelectionState.COMPLETED: pb.SELECTION_STATE_COMPLETED,
    SelectionState.FAILED: pb.SELECTION_STATE_FAILED,
}


def read(message: pb.SelectionSpec) -> SelectionSpec:
    """Read whom to choose among.

    Raises:
        Invalid: A name is there twice.
    """
    names = [one.name for one in message.candidates] + [one.name for one in message.excluded]
    if twice := list(validation.unique("spec.candidates", names)):
        raise Invalid(twice)
    return SelectionSpec(
        candidates={one.name: one.dispatch_id for one in message.candidates},
        objectives=tuple(
            Objective(
                metric=one.metric,
                max_regression=one.max_regression if one.HasField("max_regression") else None,
                confidence=one.confidence or DEFAULT_CONFIDENCE,
            )
            for one in message.objectives
        ),
        excluded={one.name: one.message for one in message.excluded},
    )


def write(found: Selection) -> pb.Selection:
    """Write a selection."""
    message = pb.Selection(selection_id=found.id, state=_STATES[found.state], message=found.message)
    if found.selected is not None:
        choice = found.selected.choice
        message.chosen, message.message = choice.chosen, choice.message
        message.assessments.extend(_assessment(one, found.selected) for one in choice.assessments)
        for artifact in found.selected.artifacts:
            message.artifacts.add(name=artifact.name, uri=artifact.uri, digest=artifact.digest)
    return message


def _assessment(one: Assessment, selected: Selected) -> pb.Assessment:
    subject = selected.subjects.get(one.name)
    return pb.Assessment(
        name=one.name,
        subject=specs.write_subject(subject) if subject else None,
        place=one.place,
        message=one.message,
        dominated_by=one.dominated_by,
        readings=[_reading(reading) for reading in one.readings],
    )


def _reading(reading: Reading) -> pb.Reading:
    low, high = reading.interval or (None, None)
    return pb.Reading(metric=reading.metric, value=reading.value, ci_low=low, ci_high=high)

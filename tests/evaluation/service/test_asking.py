"""Asking and scoring, with tasks that misbehave."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from touchstone_evaluation.core import costs
from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.runs import Run, RunState
from touchstone_evaluation.core.scores import Asking, Score
from touchstone_evaluation.core.spec import Parameters, RunSpec, Sampling, Side, Subject, SubjectKind, Suite
from touchstone_evaluation.core.task import Ask, Classification, Metric, Outcome, Program, Prompt, Question, Similarity
from touchstone_evaluation.ports import PredictionKey
from touchstone_evaluation.service.asking import Asker

ITEM = Item(id="1", question="What?")
SUITE = Suite(name="s", task="plug-in")
SUBJECT = Subject(kind=SubjectKind.MODEL_DEPLOYMENT, name="default/chat", revision="r", digest="sha256:0")
RUN = Run(
    dispatch_id="d",
    spec=RunSpec(subject=SUBJECT, suites=(SUITE,)),
    state=RunState.RUNNING,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)


class PlugIn:
    name = "plug-in"
    version = "1"
    description = "For tests."
    parameters_schema: Mapping[str, None] = {}
    subjects = frozenset({SubjectKind.MODEL_DEPLOYMENT})
    needs_dataset = False
    runs_code = False

    def __init__(self, value: float | None) -> None:
        self.value = value

    def metrics(self, parameters: Parameters) -> tuple[Metric, ...]:
        return ()

    def unfit(self, item: Item) -> str:
        return ""

    def load(self, parameters: Parameters) -> None:
        return None

    def ask(self, item: Item, parameters: Parameters) -> Ask:
        return Prompt(question=item.question)

    def score(self, item: Item, outcome: Outcome, parameters: Parameters) -> Mapping[str, float]:
        if self.value is None:
            raise ZeroDivisionError("division by zero")
        return {"value": self.value}


class Memory:
    def find(self, key: PredictionKey) -> Outcome | None:
        return None

    def keep(self, key: PredictionKey, outcome: Outcome) -> None:
        pass


class Answering:
    async def ask(self, subject: Subject, ask: Question, sampling: Sampling, *, is_patient: bool) -> Outcome:
        return Outcome(text="an answer")


class NoTrials:
    async def run(self, asked: Program) -> Outcome:
        raise AssertionError("nothing is run")


class NoEncoders:
    async def compare(self, asked: Similarity) -> Outcome:
        raise AssertionError("nothing is compared")

    async def classify(self, asked: Classification) -> Outcome:
        raise AssertionError("nothing is classified")


async def scored(value: float | None) -> Score:
    asker = Asker(Memory(), Answering(), NoTrials(), NoEncoders(), {"plug-in": PlugIn(value)})
    return await asker.score(RUN, SUITE, ITEM, Asking("s", ITEM.digest, Side.SUBJECT, 0), is_load=False)


async def test_a_task_that_cannot_score_an_item_costs_that_item() -> None:
    score = await scored(None)
    assert score.values == {}
    assert "plug-in" in score.error
    assert "ZeroDivisionError" in score.error


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
async def test_a_value_that_is_no_number_is_a_failure(value: float) -> None:
    score = await scored(value)
    assert score.values == {}
    assert "'value'" in score.error


async def test_a_score_is_kept_as_the_task_gave_it() -> None:
    score = await scored(0.25)
    own, _ = costs.apart(score.values)
    assert (own, score.error) == ({"value": 0.25}, "")

"""The examples in examples/benchmarks, from their YAML to the items that are asked, on the data they name."""

import ast
import asyncio
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from touchstone.evaluation.v1 import evaluation_service_pb2 as pb
from touchstone_evaluation.adapters import plugins
from touchstone_evaluation.adapters.trials import ProcessTrials
from touchstone_evaluation.api import specs
from touchstone_evaluation.core import datasets, validation
from touchstone_evaluation.core.datasets import Drawn
from touchstone_evaluation.core.spec import RunSpec, Suite
from touchstone_evaluation.core.task import Outcome, Program
from touchstone_evaluation.core.task import steps as steps_of
from touchstone_operator.adapters import evaluation
from touchstone_operator.api.evalrun import EvalRun
from touchstone_runtime.artefacts import Resolver

EXPECTED = {
    "multiple-choice": {"mmlu-geography": 198, "arc-easy": 570, "arc-challenge": 299, "hellaswag": 10_042, "boolq": 3_270, "piqa": 1_838},
    "code": {"humaneval": 164, "mbpp": 500},
    "instructions": {"ifeval": 541},
    "mathematics": {"gsm8k": 1_319},
    "grounded": {"squad": 226},
    "safety": {"forbidden": 313, "ordinary": 541},
    "factual": {"by-judge": 20_000, "by-itself": 20_000},
    "judge": {"agreement": 105},
    "red-team": {"jailbreaks": 650, "malicious": 243, "hateful": 176},
}  # fmt: skip
TASKS = plugins.installed()


def read(path: Path) -> RunSpec:
    """As the operator sends it and the service reads it."""
    run = EvalRun.model_validate(yaml.safe_load(path.read_text()))
    subject = pb.Subject(
        type=pb.SUBJECT_TYPE_MODEL_DEPLOYMENT, name="default/chat", revision="r", digest="sha256:" + "0" * 64
    )
    message = pb.RunSpec(
        subject=subject,
        suites=[
            evaluation.suite(
                suite, [pb.Judge(name=judge.name, subject=subject) for judge in suite.judges or ()], "default"
            )
            for suite in run.spec.suites
        ],
        criteria=[evaluation.criterion(criterion) for criterion in run.spec.criteria],
        execution=evaluation.execution(run.spec),
    )
    return specs.read(message)


def drawn(resolver: Resolver, suite: Suite, **changed: Any) -> Drawn:
    assert suite.dataset is not None
    content = resolver.resolve_sync(suite.dataset.uri, digest=suite.dataset.digest).path.read_bytes()
    return datasets.draw(content, replace(suite.dataset, **changed), TASKS[suite.task].unfit)


@pytest.mark.parametrize("name", EXPECTED)
def test_an_example_is_valid_and_finds_its_items(name: str, examples: Path, resolver: Resolver) -> None:
    spec = read(examples / f"{name}.yaml")
    assert validation.faults("example", spec, TASKS) == []
    found = {suite.name: drawn(resolver, suite, limit=0) for suite in spec.suites}
    assert {suite: len(one.items) for suite, one in found.items()} == EXPECTED[name], {
        suite: one.left_out for suite, one in found.items()
    }


def test_every_example_is_tested(examples: Path) -> None:
    assert {path.stem for path in examples.glob("*.yaml")} == set(EXPECTED)


class _Mutant(ast.NodeTransformer):
    """Has each function return something else than it should."""

    def visit_Return(self, node: ast.Return) -> ast.Return:
        wrong = ast.Tuple([node.value or ast.Constant(None), ast.Constant("mutant")], ast.Load())
        return ast.copy_location(ast.Return(wrong), node)


def mutant(program: str) -> str:
    with warnings.catch_warnings(action="ignore"):
        tree = ast.parse(program)
    return ast.unparse(ast.fix_missing_locations(_Mutant().visit(tree)))


async def values(suite: Suite, item: Any, answer: str) -> Mapping[str, float]:
    """Drive the task as the worker does, with an answer in place of the model's."""
    steps = steps_of(TASKS[suite.task], item, suite.parameters, ())
    asks = next(steps)
    try:
        asks = steps.send(tuple(Outcome(text=answer) for _ in asks))
        while True:
            assert all(isinstance(ask, Program) for ask in asks)
            asks = steps.send(tuple([await ProcessTrials().run(ask) for ask in asks if isinstance(ask, Program)]))
    except StopIteration as end:
        return dict(end.value)


@pytest.mark.parametrize("name", ["humaneval", "mbpp"])
async def test_canonical_programs_pass_and_mutated_ones_fail(name: str, examples: Path, resolver: Resolver) -> None:
    suite = next(suite for suite in read(examples / "code.yaml").suites if suite.name == name)
    items = drawn(resolver, suite).items
    slots = asyncio.Semaphore(4)

    async def passed(item: Any, answer: str) -> float:
        async with slots:
            return (await values(suite, item, f"```python\n{answer}\n```"))["pass_at_1"]

    programs = [(item.question if name == "humaneval" else "") + item.answers[0] for item in items]
    right = await asyncio.gather(*map(passed, items, programs))
    assert [item.id for item, one in zip(items, right, strict=True) if one != 1.0] == []
    wrong = await asyncio.gather(*map(passed, items, [mutant(program) for program in programs]))
    assert [item.id for item, one in zip(items, wrong, strict=True) if one != 0.0] == []

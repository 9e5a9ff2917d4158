"""The demo's outcomes, on the embedded platform with the real model, the real index and real verdicts. Not its times."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from touchstone_local import answers, fields, platform, traces
from touchstone_local.answers import Turn
from touchstone_local.collector.core import tree
from touchstone_local.demo import STEPS, Seen, walk
from touchstone_local.kube.cluster import Cluster
from touchstone_local.supervisor.core.addresses import Addresses

EXAMPLE = Path(__file__).parents[2] / "examples" / "support-assistant"
CACHE = Path(os.environ.get("TOUCHSTONE_TEST_CACHE_DIR", "~/.cache/touchstone/artefacts")).expanduser()

pytestmark = [
    pytest.mark.demo,
    pytest.mark.artefacts,
    pytest.mark.timeout(1500),
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def addresses(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Addresses]:
    folder = tmp_path_factory.mktemp("demo") / "state"
    (folder / "artefacts").mkdir(parents=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    (folder / "artefacts" / "artefacts").symlink_to(CACHE)
    state = await platform.start(folder)
    yield Addresses(state.subnet)
    await platform.stop(folder)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def seen(addresses: Addresses, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    kubeconfig = next(tmp_path_factory.getbasetemp().glob("demo*/state/kubeconfig"))
    async with await Cluster.connect(kubeconfig) as cluster:
        return {each.step.letter: each async for each in walk(cluster, EXAMPLE, kubeconfig, steps=STEPS)}


def criterion(seen: Seen, name: str) -> fields.Object:
    return next(c for c in fields.items(seen.gate, "status", "criteria") if fields.text(c, "name") == name)


def condition(seen: Seen, kind: str) -> tuple[str, str]:
    found = fields.condition(seen.object, kind)
    return fields.text(found, "status"), fields.text(found, "reason")


async def test_a_model_is_promoted_on_an_absolute_criterion(seen: dict[str, Seen]) -> None:
    assert fields.text(seen["a"].gate, "status", "verdict") == "Passed"
    assert criterion(seen["a"], "knows-the-answers")["verdict"] == "Failed", "closed book, and not required"
    assert condition(seen["a"], "Ready")[0] == "True"
    assert condition(seen["a"], "Promoted")[0] == "True"


async def test_an_index_becomes_active_on_its_recall(seen: dict[str, Seen]) -> None:
    recall = criterion(seen["b"], "recall-at-3")
    assert recall["verdict"] == "Passed"
    assert float(recall["value"]) >= 0.9
    (revision,) = fields.items(seen["b"].object, "status", "revisions")
    assert (revision["documents"], revision["failedDocuments"]) == (60, 0)


async def test_a_significant_gain_is_promoted(seen: dict[str, Seen]) -> None:
    gain = criterion(seen["c"], "better-than-serving")
    assert gain["verdict"] == "Passed"
    assert float(gain["ciLow"]) > 0.05
    assert float(gain["pValue"]) < 0.05
    assert seen["c"].serving != seen["a"].serving
    assert fields.text(seen["c"].gate, "status", "baselineRevision") == seen["a"].serving
    assert max(seen["c"].weights) > 0, "a candidate that passed takes traffic by steps"


async def test_a_regression_never_gets_traffic(seen: dict[str, Seen]) -> None:
    assert fields.text(seen["d"].gate, "status", "verdict") == "Failed"
    assert float(criterion(seen["d"], "better-than-serving")["ciHigh"]) < 0
    assert condition(seen["d"], "Stalled") == ("True", "EvalGateFailed")
    assert condition(seen["d"], "Ready")[0] == "True"
    assert max(seen["d"].weights) == 0
    assert seen["d"].serving == seen["c"].serving


async def test_the_same_spec_again_needs_no_second_run(seen: dict[str, Seen]) -> None:
    assert seen["e"].is_reused
    assert seen["e"].runs == seen["d"].runs
    assert seen["e"].serving == seen["c"].serving
    assert condition(seen["e"], "Promoted")[0] == "True"
    assert condition(seen["e"], "Stalled")[0] != "True"


async def test_answers_come_with_citations_usage_and_a_trace(addresses: Addresses, seen: dict[str, Seen]) -> None:
    turns = [Turn("user", "In the Rankine cycle, what does water turn into when heated?")]
    steps = [step async for step in answers.ask(addresses.router, "default/support-assistant", turns)]
    answer = steps[-1].answer
    assert len([step for step in steps if step.piece]) > 1, "it streams"
    assert answer.revision == seen["e"].serving
    assert "Rankine" in answer.citations[0].text
    assert answer.usage is not None
    assert answer.usage.output_tokens > 0
    rendered = tree.render(await traces.settled(addresses.traces, answer.trace_id))
    for service in ("touchstone-router", "touchstone-retrieval", "touchstone-engine"):
        assert service in rendered
    assert "CANCELLED" not in rendered

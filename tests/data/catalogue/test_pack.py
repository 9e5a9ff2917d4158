"""Plans of rows, and tokens in reports: counted by the model's own tokenizer and template."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from touchstone_data.catalogue import token_counts
from touchstone_data.core.records import Record
from touchstone_data.core.spec import Report, TokenReport

TEMPLATE = "{% for turn in messages %}{{ turn.role + ' : ' + turn.content + ' </s> ' }}{% endfor %}"


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    """A tokenizer of words, that begins each text with a token of its own; with a chat template."""
    names = ["<s>", "</s>", "<unk>", "user", "assistant", ":", *(f"w{n}" for n in range(50))]
    made = Tokenizer(models.WordLevel({name: place for place, name in enumerate(names)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    made.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "</s>", "chat_template": TEMPLATE}))
    return folder


class Here:
    def fetch(self, uri: str, digest: str = "") -> str:
        return uri


def said(*contents: str) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[n % 2], "content": content} for n, content in enumerate(contents)]


def test_records_are_counted_as_the_trainer_reads_them(tokenizer: Path) -> None:
    defaults = {name: schema.get("default") for name, schema in token_counts.SCHEMA.items()}
    counter = token_counts.load({**defaults, "tokenizer": str(tokenizer)}, ("text",), Here())
    fields: list[dict[str, Any]] = [
        {"text": "w1 w2 w3"},  # with what begins and ends it
        {"text": "w1 w2 </s>"},  # it has its end already
        {"text": ""},
        {"text": "not counted", "messages": said("w1 w2", "w3")},
        {"messages": said("", "w1")},
    ]
    records = [Record(id=str(n), source="raw", fields=one) for n, one in enumerate(fields)]
    assert counter.records(records).tolist() == [5, 4, 0, 9, 7]


def lengths(row: list[int]) -> list[dict[str, Any]]:
    return [{"id": str(n), "text": " ".join(["w1"] * (length - 2))} for n, length in enumerate(row)]


def run(bench: Any, make_spec: Any, tokenizer: Path, rows: list[Any], *before: Any, **parameters: Any) -> Any:
    step = ("pack", {"tokenizer": f"file://{tokenizer}", "max_sequence_length": 20, **parameters})
    return bench.run(make_spec(bench.write("in.jsonl", rows), *before, step))


@pytest.mark.parametrize(
    ("on_long", "facts", "rows"),
    [
        # 15 + 5 | 12 + 8 | 10
        ("drop", {"records": 5, "tokens": 50, "rows": 3, "truncated": 0, "tokens_cut": 0, "concatenated_rows": 3}, 3),
        # the same, and 30 cut to 20
        ("cut", {"records": 6, "tokens": 80, "rows": 4, "truncated": 1, "tokens_cut": 10, "concatenated_rows": 4}, 4),
        # the same, with 10 of the 30 beside the 10
        ("split", {"records": 6, "tokens": 80, "rows": 4, "truncated": 1, "tokens_cut": 0, "concatenated_rows": 4}, 4),
    ],
)
def test_a_plan_says_what_it_saves(
    bench: Any, make_spec: Any, read: Any, tokenizer: Path, on_long: str, facts: dict[str, int], rows: int
) -> None:
    pipeline = run(bench, make_spec, tokenizer, lengths([12, 30, 15, 8, 5, 10]), on_long=on_long)
    found = read(pipeline)
    told = found.manifest["steps"][0]["facts"]["train"]
    assert {name: told[name] for name in facts} == facts
    assert told["padding"] == pytest.approx(1 - (facts["tokens"] - facts["tokens_cut"]) / (20 * rows))
    packed = {row["record_id"]: row["pack"] for row in found.all_rows}
    assert packed["2"]["row"] == packed["4"]["row"] != packed["0"]["row"] == packed["3"]["row"]
    assert {one["tokens"] for one in packed.values()} == {12, 15, 8, 5, 10} | ({30} if on_long != "drop" else set())
    assert {row["record_id"]: (row["reason"], row["score"]) for row in found.dropped} == (
        {"1": ("longer than a row", 30.0)} if on_long == "drop" else {}
    )


def test_a_row_never_holds_two_splits(bench: Any, make_spec: Any, read: Any, tokenizer: Path) -> None:
    words = np.random.default_rng(2).integers(0, 50, (300, 6))
    rows = [{"id": str(n), "text": " ".join(f"w{word}" for word in text)} for n, text in enumerate(words)]
    found = read(run(bench, make_spec, tokenizer, rows, ("split", {"validation": 0.3})))
    used = {split: {row["pack"]["row"] for row in kept} for split, kept in found.rows.items()}
    assert set(used) == {"train", "validation"}
    assert not used["train"] & used["validation"]
    assert sum(len(one) for one in used.values()) == sum(
        facts["rows"] for facts in found.manifest["steps"][1]["facts"].values()
    )


def test_conversations_cannot_be_counted_without_their_template(bench: Any, make_spec: Any, tokenizer: Path) -> None:
    pipeline = run(bench, make_spec, tokenizer / "tokenizer.json", [{"messages": said("w1", "w2")}])
    assert pipeline.error["reason"] == "StepFailed"
    assert "has no chat template" in pipeline.error["message"]
    (tokenizer / "tokenizer_config.json").unlink()
    report = Report(tokens=TokenReport(tokenizer=f"file://{tokenizer}"))
    uri = bench.write("in.jsonl", [{"messages": said("w1", "w2")}])
    pipeline = bench.run(make_spec(uri, ("require", {"fields": ["messages"]}), report=report), "with a report")
    assert pipeline.error["reason"] == "TokenizerInvalid"


def test_a_report_counts_tokens_by_split_and_by_who_speaks(bench: Any, make_spec: Any, tokenizer: Path) -> None:
    rows = [{"id": str(n), "messages": said("w1", " ".join(["w2"] * n))} for n in range(1, 21)]
    report = Report(tokens=TokenReport(tokenizer=f"file://{tokenizer}", max_sequence_length=22))
    spec = make_spec(bench.write("in.jsonl", rows), ("require", {"fields": ["messages"]}), report=report)
    folder = Path(bench.run(spec).snapshot_uri.removeprefix("file://"))
    tokens = json.loads((folder / "report.json").read_text())["tokens"]
    assert sorted(tokens["splits"]["train"]["counts"]) == [7 + n for n in range(1, 21)]  # 2 · 3 round the words, and w1
    assert tokens["splits"]["train"]["above"] == 0.25
    assert (tokens["roles"]["user"]["total"], tokens["roles"]["assistant"]["total"]) == (20, 210)
    page = (folder / "report.html").read_text()
    assert "Above 22" in page
    assert "25.0 %" in page

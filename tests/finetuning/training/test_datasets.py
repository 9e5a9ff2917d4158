"""Files of records to what the trainers take."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from touchstone_finetuning.core.masking import IGNORED
from touchstone_finetuning.core.outcome import Reason
from touchstone_finetuning.core.recipe import Format, Method
from touchstone_finetuning.training import bases, datasets
from touchstone_finetuning.training.faults import TrainingFault
from touchstone_finetuning.training.rendering import Renderer

from .conftest import Making, Workspace, chat, tickets


def prepare(workspace: Workspace, tokenizer: Any) -> datasets.Prepared:
    return datasets.prepare(workspace.recipe, workspace.recipe.train, Renderer(tokenizer), name="train")


def refused(workspace: Workspace, tokenizer: Any) -> str:
    with pytest.raises(TrainingFault) as raised:
        prepare(workspace, tokenizer)
    assert raised.value.fault.reason is Reason.DATASET_INVALID
    return raised.value.fault.message


def test_parquet_and_json_lines_give_the_same(make: Making, tokenizer: Any, tmp_path: Path) -> None:
    lines = make(tmp_path, tickets(4))
    parquet.write_table(pa.Table.from_pylist(tickets(4)), tmp_path / "train.parquet")
    columns = make(tmp_path, [], train=(str(tmp_path / "train.parquet"),))
    assert prepare(columns, tokenizer).digest == prepare(lines, tokenizer).digest


def test_a_change_of_the_data_changes_its_digest(make: Making, tokenizer: Any, tmp_path: Path) -> None:
    first, second = (prepare(make(tmp_path, tickets(count)), tokenizer) for count in (4, 5))
    assert first.digest != second.digest


def test_what_is_too_long_is_cut_or_left_out_and_counted(make: Making, tokenizer: Any, tmp_path: Path) -> None:
    records = [*tickets(2), chat("short", "long " * 200), chat("long " * 200, "short")]
    prepared = prepare(make(tmp_path, records, numbers={"max_sequence_length": 64}), tokenizer)
    lengths = [len(row["input_ids"]) for row in prepared.dataset]
    assert len(lengths) == 3
    assert max(lengths) == 64
    assert prepared.notes == (
        "1 records of train are longer than 64 tokens and were cut there.",
        "1 records of train were left out: within 64 tokens nothing is left to learn.",
    )


def test_texts_are_packed_into_blocks_without_losing_a_token(make: Making, tokenizer: Any, tmp_path: Path) -> None:
    texts = [{"text": f"Gold is metal number {i}."} for i in range(20)]
    changes = {"method": Method.CONTINUED_PRETRAINING, "format": Format.TEXT, "numbers": {"max_sequence_length": 32}}
    rows = prepare(make(tmp_path, texts, **changes), tokenizer).dataset["input_ids"]
    assert {len(row) for row in rows[:-1]} == {32}
    renderer = Renderer(tokenizer)
    assert [token for row in rows for token in row] == [
        token for each in texts for token in renderer.text(each["text"])
    ]


def test_pairs_too_long_are_left_out_and_never_cut(make: Making, tokenizer: Any, tmp_path: Path) -> None:
    pairs = [{"prompt": "Say a word.", "chosen": "gold", "rejected": "lead " * n} for n in (2, 200)]
    prepared = prepare(make(tmp_path, pairs, method=Method.DPO, format=Format.PREFERENCE), tokenizer)
    assert len(prepared.dataset) == 1
    assert "were left out" in prepared.notes[0]


def test_the_first_token_of_a_row_is_masked_like_its_prompt(make: Making, tokenizer: Any, tmp_path: Path) -> None:
    (row,) = prepare(make(tmp_path, tickets(1)), tokenizer).dataset
    assert row["labels"][0] == IGNORED
    assert IGNORED not in row["input_ids"]


def test_a_bad_record_is_told_with_its_line(make: Making, tokenizer: Any, tmp_path: Path) -> None:
    told = refused(make(tmp_path, [*tickets(2), {"messages": "hello"}]), tokenizer)
    assert told.startswith("train.jsonl, line 3: `messages` must be a list")


def test_a_bad_record_of_parquet_is_told_with_its_row(make: Making, tokenizer: Any, tmp_path: Path) -> None:
    file = tmp_path / "train.parquet"
    parquet.write_table(pa.table({"text": ["gold", ""]}), file)
    assert refused(make(tmp_path, [], format=Format.TEXT, train=(str(file),)), tokenizer).startswith(
        "train.parquet, row 2:"
    )


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.jsonl", '{"messages": [\n', "a.jsonl, line 1: not JSON"),
        ("a.jsonl", "[]\n", "a.jsonl, line 1: not a JSON object"),
        ("a.parquet", "PAR0", "a.parquet: not a Parquet file"),
        ("b.jsonl", None, "b.jsonl: there is no such file"),
        ("a.jsonl", "", "train: no record is left"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(
    make: Making, tokenizer: Any, tmp_path: Path, name: str, content: str | None, told: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    assert refused(make(tmp_path, [], train=(str(tmp_path / name),)), tokenizer).startswith(told)


def test_a_base_without_a_chat_template_is_refused_for_conversations(
    make: Making, tiny_base: Path, tmp_path: Path
) -> None:
    mute = bases.load_tokenizer(tiny_base)
    mute.chat_template = None
    with pytest.raises(TrainingFault, match="no chat template") as raised:
        prepare(make(tmp_path, tickets(1)), mute)
    assert raised.value.fault.reason is Reason.BASE_MODEL_INVALID
    assert len(prepare(make(tmp_path, [{"text": "Gold."}], format=Format.TEXT), mute).dataset) == 1


def test_a_base_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(TrainingFault, match=r"neither a \.gguf file nor a folder with a config\.json") as raised:
        bases.load_tokenizer(tmp_path)
    assert raised.value.fault.reason is Reason.BASE_MODEL_INVALID

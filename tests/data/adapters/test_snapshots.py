"""Where snapshots are kept: folders here and in object storage, whole or not at all."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import fsspec
import pytest
from touchstone_runtime.artefacts import remote
from touchstone_runtime.cluster.references import SecretReference
from touchstone_runtime.jobs import JobState

SECRET = SecretReference(namespace="team-a", name="store")
ROWS = [{"id": str(number), "text": f"text number {number}", "score": number / 2} for number in range(30)]


@pytest.fixture
def bucket(object_storage: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": object_storage,
    }.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(Bucket="snapshots")
    fsspec.filesystem("s3").clear_instance_cache()
    yield "s3://snapshots"
    fsspec.filesystem("s3").clear_instance_cache()


def test_a_snapshot_in_object_storage_is_the_one_on_the_disk(bench: Any, make_spec: Any, bucket: str) -> None:
    uri = bench.write("in.jsonl", ROWS)
    here = bench.run(make_spec(uri, ("length", {"min_words": 1})), "here")
    there = bench.run(make_spec(uri, ("length", {"min_words": 1}), output_uri=f"{bucket}/letters"), "there")
    assert there.state is JobState.SUCCEEDED, there.error
    assert there.snapshot_uri == f"{bucket}/letters/{here.snapshot.digest.removeprefix('sha256:')}"
    store = fsspec.filesystem("s3")
    names = {path.rpartition("/")[2] for path in store.ls(there.snapshot_uri)}
    assert names == {"train.parquet", "dropped.parquet", "manifest.json", "report.html", "report.json"}
    assert json.loads(store.cat(f"{there.snapshot_uri}/manifest.json"))["digest"] == here.snapshot.digest
    assert not list((bench.root / "work").glob(".partial-*"))


def test_the_same_snapshot_is_kept_once(bench: Any, make_spec: Any) -> None:
    spec = make_spec(bench.write("in.jsonl", ROWS), ("length", {"min_words": 1}))
    first, second = bench.run(spec, "first"), bench.run(spec, "second")
    assert first.snapshot_uri == second.snapshot_uri
    folder = Path(first.snapshot_uri.removeprefix("file://"))
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_snapshot_in_google_storage_is_the_one_on_the_disk(bench: Any, make_spec: Any, google_storage: str) -> None:
    uri = bench.write("in.jsonl", ROWS)
    here = bench.run(make_spec(uri, ("length", {"min_words": 1})), "here")
    there = bench.run(make_spec(uri, ("length", {"min_words": 1}), output_uri=f"{google_storage}/letters"), "there")
    assert there.state is JobState.SUCCEEDED, there.error
    assert there.snapshot_uri == f"{google_storage}/letters/{here.snapshot.digest.removeprefix('sha256:')}"


def test_a_place_that_takes_no_snapshot_is_told_before_anything_is_read(bench: Any, make_spec: Any) -> None:
    spec = make_spec(f"file://{bench.root}/absent.jsonl", "fix-text", output_uri="file:///elsewhere/data")
    assert bench.run(spec).error["reason"] == "UriInvalid"


def test_outputs_outside_the_root_are_refused(bench: Any, make_spec: Any) -> None:
    spec = make_spec(bench.write("in.jsonl", ROWS), "fix-text", output_uri="file:///elsewhere/data")
    pipeline = bench.run(spec)
    assert pipeline.error["reason"] == "UriInvalid"
    assert "must lie below" in pipeline.error["message"]


def test_files_that_steps_name_must_lie_below_the_root_too(bench: Any, make_spec: Any) -> None:
    step = ("contamination", {"against": [{"uri": "file:///etc/passwd"}]})
    pipeline = bench.run(make_spec(bench.write("in.jsonl", ROWS), step))
    assert pipeline.error["reason"] == "StepFailed"
    assert "must lie below" in pipeline.error["message"]


def test_columns_hold_all_types_that_fit_together(bench: Any, make_spec: Any, read: Any) -> None:
    rows = [{"text": "a", "n": 1}, {"text": "b", "n": 1.5, "more": {"x": [1]}}, {"text": "c", "n": None}]
    found = read(bench.run(make_spec(bench.write("in.jsonl", rows), "fix-text")))
    assert [row["n"] for row in found.rows["train"]] == [1.0, 1.5, None]
    assert [row["more"] for row in found.rows["train"]] == [None, {"x": [1]}, None]
    assert found.manifest["columns"]["n"] == "double"


def test_a_pipeline_reads_and_writes_its_stores_with_the_keys_of_a_secret(
    bench: Any, make_spec: Any, team_storage: dict[str, str]
) -> None:
    bench.secrets.written[SECRET] = team_storage
    here = bench.write("in.jsonl", ROWS)
    store, path = remote.place("s3://team-a/in.jsonl", team_storage)
    store.put_file(here.removeprefix("file://"), path)
    open_spec = make_spec("s3://team-a/in.jsonl", ("length", {"min_words": 1}), output_uri="s3://team-a/letters")
    (source,) = open_spec.sources
    spec = replace(open_spec, sources=(replace(source, credentials=SECRET),), output_credentials=SECRET)
    made = bench.run(spec, "with")
    assert made.state is JobState.SUCCEEDED, made.error
    manifest = store.cat(f"{made.snapshot_uri}/manifest.json")
    assert made.snapshot.digest.encode() in manifest
    kept = [path.read_bytes() for path in bench.root.rglob("*") if path.is_file()]
    assert not [each for each in (manifest, *kept) if b"never-to-be-seen" in each]
    plain = bench.run(make_spec(here, ("length", {"min_words": 1})), "plain")
    assert plain.snapshot.files == made.snapshot.files


def test_a_pipeline_waits_for_its_secret(bench: Any, make_spec: Any, team_storage: dict[str, str]) -> None:
    spec = replace(
        make_spec(bench.write("in.jsonl", ROWS), "fix-text", output_uri="s3://team-a/letters"),
        output_credentials=SECRET,
    )
    assert bench.run(spec).state is JobState.PENDING
    bench.secrets.written[SECRET] = team_storage
    bench.clock.advance(3600)  # the pause is over
    assert bench.run(spec).state is JobState.SUCCEEDED

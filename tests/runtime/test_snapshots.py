"""Snapshots: the same content has the same digest, and what has changed is not used."""

import json
from pathlib import Path
from typing import Any

import pytest
from touchstone_runtime import revisions, snapshots
from touchstone_runtime.artefacts import caching


def made(folder: Path, **changes: Any) -> Path:
    folder.mkdir()
    (folder / "train.parquet").write_bytes(b"train")
    (folder / "dropped.parquet").write_bytes(b"dropped")
    files = [
        {"path": f"{name}.parquet", "split": split, "digest": caching.digest_file(folder / f"{name}.parquet")}
        for name, split in (("train", "train"), ("dropped", ""))
    ]
    manifest = {"files": files, "sources": [{"name": "raw", "uri": "file:///raw", "digest": "sha256:1"}], **changes}
    manifest["digest"] = revisions.digest_snapshot(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_when_it_was_made_and_where_its_sources_lay_do_not_matter(tmp_path: Path) -> None:
    one = made(tmp_path / "one", created_at="2026-01-01")
    other = made(
        tmp_path / "other", created_at="2026-02-02", sources=[{"name": "raw", "uri": "s3://raw", "digest": "sha256:1"}]
    )
    assert snapshots.read(one).digest == snapshots.read(other).digest


def test_what_was_left_out_is_no_split(tmp_path: Path) -> None:
    folder = made(tmp_path / "one")
    assert snapshots.read(folder).splits == {"train": (folder / "train.parquet",)}


def test_a_file_that_changed_is_not_used(tmp_path: Path) -> None:
    folder = made(tmp_path / "one")
    (folder / "train.parquet").write_bytes(b"other")
    with pytest.raises(snapshots.SnapshotBroken, match=r"train\.parquet is missing or has changed"):
        snapshots.read(folder)


def test_a_manifest_that_changed_is_not_used(tmp_path: Path) -> None:
    folder = made(tmp_path / "one")
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace("sha256:1", "sha256:2"))
    with pytest.raises(snapshots.SnapshotBroken, match="does not have the digest"):
        snapshots.read(folder)


def test_a_folder_without_a_manifest_is_no_snapshot(tmp_path: Path) -> None:
    with pytest.raises(snapshots.SnapshotBroken, match="cannot be read"):
        snapshots.read(tmp_path)

"""What lies in a folder."""

from pathlib import Path

from touchstone_runtime import folders


def test_files_count_however_deep_they_lie_and_a_file_is_a_folder_of_itself(tmp_path: Path) -> None:
    below = tmp_path / "model" / "shards" / "first"
    below.mkdir(parents=True)
    (below / "weights").write_bytes(b"12345")
    (tmp_path / "model" / "config").write_bytes(b"678")
    assert sorted(file.name for file in folders.files(tmp_path / "model")) == ["config", "weights"]
    assert folders.size_bytes(tmp_path / "model") == 8
    assert folders.size_bytes(below / "weights") == 5

"""Checkpoints: whole or not used."""

from pathlib import Path

import pytest
from touchstone_finetuning.training import checkpoints

WHOSE = "fingerprint"


def seal(folder: Path, step: int, *, keep: int = 2, fingerprint: str = WHOSE) -> Path:
    staged = folder / ".staging" / f"checkpoint-{step}"
    staged.mkdir(parents=True)
    (staged / "weights").write_bytes(bytes([step]) * 100)
    return checkpoints.seal(staged, folder, step=step, fingerprint=fingerprint, keep=keep)


def newest(folder: Path) -> tuple[int | None, str]:
    notes: list[str] = []
    found = checkpoints.newest(folder, fingerprint=WHOSE, on_rejected=notes.append)
    return (found.step if found else None), "\n".join(notes)


def test_the_newest_is_found_and_only_the_newest_are_kept(tmp_path: Path) -> None:
    for step in (2, 4, 10):
        seal(tmp_path, step)
    assert newest(tmp_path) == (10, "")
    assert sorted(path.name for path in tmp_path.glob("step-*")) == ["step-000000004", "step-000000010"]


def test_there_is_none_in_an_empty_folder(tmp_path: Path) -> None:
    assert newest(tmp_path) == (None, "")


@pytest.mark.parametrize(
    ("break_it", "told"),
    [
        (lambda folder: (folder / "weights").write_bytes(b"x" * 100), "weights is not what was written"),
        (lambda folder: (folder / "weights").write_bytes(b""), "weights is not what was written"),
        (lambda folder: (folder / "weights").unlink(), "weights is missing"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "its manifest cannot be read"),
        (lambda folder: (folder / "manifest.json").unlink(), "its manifest cannot be read"),
    ],
)
def test_a_broken_one_is_told_and_the_one_before_is_used(tmp_path: Path, break_it: object, told: str) -> None:
    seal(tmp_path, 2)
    break_it(seal(tmp_path, 4))  # type: ignore[operator]
    assert newest(tmp_path) == (2, f"The checkpoint step-000000004 is not used: {told}.")


def test_one_of_another_run_is_told_and_not_used(tmp_path: Path) -> None:
    seal(tmp_path, 2, fingerprint="another")
    step, told = newest(tmp_path)
    assert step is None
    assert "another recipe or other data" in told


def test_a_step_that_is_made_again_takes_the_place_of_the_broken_one(tmp_path: Path) -> None:
    (seal(tmp_path, 2) / "weights").write_bytes(b"")
    seal(tmp_path, 2)
    assert newest(tmp_path) == (2, "")

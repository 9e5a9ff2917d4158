"""Gates as tables, and the command line's manners."""

import io
from pathlib import Path

import pytest
from rich.console import Console
from touchstone_local import logs, reports
from touchstone_local.cli import app
from touchstone_local.errors import LogNotFound
from touchstone_local.layout import StateFolder

EVALRUN = {
    "metadata": {"name": "chat-2-quality-1"},
    "spec": {
        "criteria": [
            {
                "name": "floor",
                "metric": "golden/contains",
                "absolute": {"operator": "GreaterOrEqual", "value": "0.25"},
            },
            {"name": "gain", "metric": "golden/contains", "relative": {"minImprovement": "0.05"}},
            {"name": "speed", "metric": "perf/ttft_p95_millis"},
        ]
    },
    "status": {
        "verdict": "Failed",
        "message": "gain is not shown",
        "subjectRevision": "chat-bbb",
        "baselineRevision": "chat-aaa",
        "criteria": [
            {"name": "floor", "verdict": "Passed", "value": "0.4", "ciLow": "0.26", "ciHigh": "0.55", "samples": 40},
            {
                "name": "gain", "verdict": "Failed", "value": "0.05", "baseline": "0.4", "delta": "-0.35",
                "ciLow": "-0.5", "ciHigh": "-0.2", "samples": 40,
            },
        ],
        "artifacts": [{"name": "report", "uri": "file:///state/artefacts/runs/a%20b/report.html"}],
    },
}  # fmt: skip


def text_of(renderable: object) -> str:
    out = io.StringIO()
    Console(file=out, width=140, color_system=None).print(renderable)
    return out.getvalue()


def row(text: str, name: str) -> list[str]:
    line = next(line for line in text.splitlines() if f" {name} " in line)
    return [cell.strip() for cell in line.strip("│").split("│")]


def test_a_gate_says_what_was_measured_against_what() -> None:
    text = text_of(reports.gate_table(EVALRUN))
    assert "chat-bbb against chat-aaa" in text
    assert row(text, "floor") == ["floor", "golden/contains ≥ 0.25", "", "0.4", "", "[0.26, 0.55]", "Passed", "40"]
    assert row(text, "gain") == [
        "gain", "golden/contains better by ≥ 0.05", "0.4", "0.05", "-0.35", "[-0.5, -0.2]", "Failed", "40",
    ]  # fmt: skip
    assert "95 % interval" in text


def test_a_criterion_without_a_result_is_open() -> None:
    assert row(text_of(reports.gate_table(EVALRUN)), "speed")[-2:] == ["…", ""]


def test_a_run_that_has_not_begun_has_a_table_too() -> None:
    assert "floor" in text_of(reports.gate_table({**EVALRUN, "status": {}}))
    assert reports.verdict({}).plain == "Pending"


def test_a_local_report_is_a_path() -> None:
    assert reports.report_uri(EVALRUN) == "/state/artefacts/runs/a b/report.html"
    assert reports.report_uri({}) == ""


def test_without_a_platform_a_command_says_how_to_start_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["status"], ["trace", "--last"], ["search", "docs", "what"], ["get", "pods"], ["chat", "m", "hi"]):
        assert app.run(["--state-dir", str(tmp_path), *command]) == 1
        said = capsys.readouterr()
        assert "touchstone up" in said.err
        assert "Traceback" not in said.err


def test_a_wrong_call_is_told_apart_from_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["nonsense"]) == 2
    assert app.run(["--state-dir", str(tmp_path), "apply", "-f", str(tmp_path / "absent.yaml")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_stopping_what_does_not_run_is_fine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["--state-dir", str(tmp_path / "s"), "down"]) == 0
    assert "No platform was running" in capsys.readouterr().out


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    found = StateFolder(tmp_path)
    for each in found.folders():
        each.mkdir(exist_ok=True)
    found.log("router").write_text("one\ntwo\nthree\n")
    pod = found.pods / "default_chat-abc-x1"
    pod.mkdir()
    (pod / "engine.log").write_text("loading\n")
    return found


def test_logs_are_found_by_process_and_by_pod(folder: StateFolder) -> None:
    assert logs.find(folder, "router") == folder.log("router")
    for name in ("pod/chat-abc-x1", "pod/chat", "chat-abc"):
        assert logs.find(folder, name).read_text() == "loading\n"
    with pytest.raises(LogNotFound, match="pod/chat-abc-x1, router"):
        logs.find(folder, "absent")


def test_json_lines_are_read_as_text_and_others_are_left_alone() -> None:
    line = (
        '{"time": "2026-11-25T06:00:01.250+00:00", "level": "INFO", "logger": "router", "message": "ready", '
        '"trace_id": "ab"}\n'
    )
    assert logs.readable(f"plain\n{line}[1, 2]\n") == "plain\n06:00:01.250 INFO    router: ready trace_id=ab\n[1, 2]\n"


async def test_a_log_is_followed_from_its_last_lines_and_over_its_replacement(folder: StateFolder) -> None:
    following = logs.follow(folder.log("router"), lines=2, forever=True)
    assert await anext(following) == "two\nthree\n"
    with folder.log("router").open("a") as file:
        file.write("four\n")
    assert await anext(following) == "four\n"
    folder.log("router").write_text("new\n")
    assert await anext(following) == "new\n"
    await following.aclose()

"""`touchstone feedback`, `queue` and `annotate` as people call them, against a data service in this process."""

import asyncio
import io
import json
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from touchstone_data.api.feedback_servicer import FeedbackServicer
from touchstone_data.settings import ServerSettings
from touchstone_data.wiring import server
from touchstone_local import curating
from touchstone_local.annotating import Annotating
from touchstone_local.cli import app
from touchstone_runtime import databases, testing

DIGEST = "sha256:" + "a" * 64
TICKETS = {"f-1": "I was charged twice.", "f-2": "The parcel is late.", "f-3": "The parcel is lost."}


class Desk:
    """A data service, and a terminal at which commands are typed."""

    def __init__(
        self, address: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.address, self.folder = address, folder
        self._capsys, self._monkeypatch = capsys, monkeypatch
        self.forget: Callable[[str], object]

    def run(self, *arguments: str, typed: str = "", code: int = 0) -> str:
        self._monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        self._capsys.readouterr()
        actual = app.run([*arguments, "--address", self.address])
        said = self._capsys.readouterr()
        assert actual == code, said.out + said.err
        assert "Traceback" not in said.err
        return said.out + said.err

    def write(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def give(self) -> None:
        rows = [
            {
                "feedback_id": name, "revision_digest": DIGEST, "response": "other", "consent": True, "end_user": name,
                "messages": [{"role": "user", "content": text}], "corrections": {"queue": "shipping"},
            }
            for name, text in TICKETS.items()
        ]  # fmt: skip
        lines = "\n".join(json.dumps(row) for row in rows)
        assert self.run("feedback", "record", self.write("feedback.jsonl", lines)) == "3 recorded.\n"


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    database_url = f"sqlite:///{tmp_path}/data.sqlite"
    settings = ServerSettings(
        database_url=database_url,
        broker_url="",
        listen="",
        artefacts_uri=f"file://{tmp_path}/store",
        file_root=tmp_path,
    )
    engine = databases.connect(database_url)
    feedback, curation = server.flywheel(settings, engine)
    addresses: list[str] = []
    is_up, is_over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with testing.serve([curation.registered(), FeedbackServicer(feedback).registered()]) as address:
            addresses.append(address)
            is_up.set()
            await asyncio.to_thread(is_over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert is_up.wait(30)
    found = Desk(addresses[0], tmp_path, capsys, monkeypatch)
    found.forget = lambda feedback_id: feedback.forget(feedback_id=feedback_id)
    yield found
    is_over.set()
    thread.join()
    engine.dispose()


def test_feedback_is_recorded_counted_listed_exported_and_forgotten(desk: Desk) -> None:
    desk.give()
    counted = desk.run("feedback", "summary")
    rows = [line.split() for line in counted.splitlines()[1:]]
    assert "".join(row[0] for row in rows) == DIGEST
    assert rows[0][1:] == ["0", "0", "–", "0", "3", "0"]
    assert [line.split()[0] for line in desk.run("feedback", "list").splitlines()[1:]] == list(TICKETS)
    assert len(desk.run("feedback", "list", "--kind", "thumb-up").splitlines()) == 1
    exported = desk.run("feedback", "export", "preference", "--revision", DIGEST)
    assert "records: 3" in exported
    uri = exported.splitlines()[0].removeprefix("uri: ")
    assert Path(uri.removeprefix("file://")).exists()
    gone = desk.run("feedback", "forget", "--end-user", "f-1")
    assert "1 pieces of feedback and 0 items of queues are gone." in gone
    assert f"removed: {uri}" in gone
    assert not Path(uri.removeprefix("file://")).exists()


def test_a_line_that_is_no_feedback_is_named(desk: Desk) -> None:
    path = desk.write("broken.jsonl", '\n{"feedback_id": 7}\n')
    assert "line 2" in desk.run("feedback", "record", path, code=app.EXIT_USAGE)
    path = desk.write("refused.jsonl", '{"feedback_id": "f-1", "comment": "Hm."}\n')
    assert "feedback.consent" in desk.run("feedback", "record", path, code=app.EXIT_USAGE)


def test_people_label_item_after_item_at_a_terminal(desk: Desk) -> None:
    desk.give()
    guideline = desk.write("guideline.md", "Money is billing, parcels are shipping.")
    choices = ("--choice", "billing", "--choice", "shipping", "--annotators", "2", "--min-alpha", "0.9")
    assert "Queue tickets, guideline sha256:" in desk.run(
        "queue", "create", "tickets", "--guideline", guideline, *choices
    )
    assert "3 items added" in desk.run("queue", "fill", "tickets", "--kind", "correction")
    said = desk.run("annotate", "tickets", "--as", "ann", typed="9\ng\nshipping\n1\n")
    assert said.startswith("Money is billing")
    assert said.count("Money is billing") == 2
    assert "user: The parcel is" in said
    assert 'said: {"queue": "shipping"}' in said
    assert "'9' is none of them" in said
    assert said.endswith("2 items labelled.\n")
    assert "1 items labelled." in desk.run("annotate", "tickets", "--as", "ann", typed="2\n")
    said = desk.run("annotate", "tickets", "--as", "ben", typed="s\nCut off.\n2\nq\n")
    assert said.endswith("1 items labelled.\n")
    shown = desk.run("queue", "show", "tickets")
    assert "Krippendorff's alpha" in shown or "cannot be told yet" in shown
    assert desk.run("queue", "show").splitlines()[1].split()[:4] == ["tickets", "3", "1", "4"]
    refused = desk.run("queue", "export", "tickets", code=app.EXIT_FAILURE)
    assert "0.9 is asked" in refused
    assert "records: 1" in desk.run("queue", "export", "tickets", "--allow-low-agreement")


def test_objects_are_asked_field_by_field_and_held_to_the_schema(desk: Desk) -> None:
    desk.give()
    schema = {
        "type": "object",
        "properties": {"queue": {"enum": ["billing", "shipping"]}, "urgency": {"type": "integer", "maximum": 3}},
        "required": ["queue", "urgency"],
    }
    files = ("--guideline", desk.write("g.md", "Say which."), "--schema", desk.write("s.json", json.dumps(schema)))
    desk.run("queue", "create", "tickets", *files, "--annotators", "1")
    desk.run("queue", "fill", "tickets", "--sample", "1")
    said = desk.run("annotate", "tickets", "--as", "ann", typed="2\n7\n1\n3\n")
    assert "label.urgency: 7 is greater than the maximum of 3." in said
    assert said.endswith("Nothing is left for you now.\n1 items labelled.\n")
    uri = desk.run("queue", "export", "tickets").splitlines()[0].removeprefix("uri: file://")
    (row,) = map(json.loads, Path(uri).read_text().splitlines())
    assert row["annotations"] == [{"annotator": "ann", "label": {"queue": "billing", "urgency": 3}}]


def test_a_queue_that_is_not_there_is_told_without_a_traceback(desk: Desk) -> None:
    assert "There is no queue 'other'" in desk.run("annotate", "other", "--as", "ann", code=app.EXIT_FAILURE)
    assert "There is no queue 'other'" in desk.run("queue", "fill", "other", code=app.EXIT_FAILURE)


class Interrupted:
    """A terminal at which the first item is forgotten before its label is typed."""

    def __init__(self, desk: Desk) -> None:
        self.said: list[str] = []
        self._desk = desk

    def say(self, text: str) -> None:
        self.said.append(text)

    def ask(self, question: str) -> str:
        if len(self.said) == 2:  # the guideline and the item
            self._desk.forget(self.said[1].splitlines()[1].removeprefix("── "))
        return "billing"


def test_a_session_goes_on_when_an_item_is_forgotten_in_between(desk: Desk) -> None:
    desk.give()
    files = ("--guideline", desk.write("g.md", "Say which."), "--choice", "billing", "--choice", "shipping")
    desk.run("queue", "create", "tickets", *files)
    desk.run("queue", "fill", "tickets")
    terminal = Interrupted(desk)

    async def annotate() -> int:
        async with curating.connected(desk.address) as client:
            return await Annotating(client=client, queue="tickets", annotator="ann", terminal=terminal).run()

    assert asyncio.run(annotate()) == 2
    assert "has no item" in terminal.said[2]
    assert terminal.said[-1] == "Nothing is left for you now."


def test_a_page_is_served_until_it_is_interrupted(desk: Desk) -> None:
    desk.give()
    files = ("--guideline", desk.write("g.md", "Say which."), "--choice", "billing", "--choice", "shipping")
    desk.run("queue", "create", "tickets", *files)
    desk.run("queue", "fill", "tickets")
    # A process that is started in the background is told to ignore interrupts, and hands that on.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    command = [sys.executable, "-c", f"{heed}; from touchstone_local.cli import main; main()"]
    arguments = ["annotate", "tickets", "--as", "ann", "--page", "--address", desk.address]
    with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().removeprefix("Annotate on ").strip()
        with urllib.request.urlopen(url, timeout=30) as page:
            assert "Say which." in page.read().decode()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == app.EXIT_INTERRUPTED

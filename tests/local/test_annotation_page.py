"""The page of an annotator: what a browser without scripts shows, and what it sends."""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from touchstone.data.v1 import curation_service_pb2 as pb
from touchstone.data.v1 import feedback_service_pb2 as feedback_pb
from touchstone_data.api.feedback_servicer import FeedbackServicer
from touchstone_data.settings import ServerSettings
from touchstone_data.wiring import server
from touchstone_local.annotation_page import Page
from touchstone_local.curating import Client
from touchstone_runtime import databases, testing

DIGEST = "sha256:" + "a" * 64
SCHEMA = {
    "type": "object",
    "properties": {"queue": {"enum": ["billing", "shipping"]}, "urgency": {"type": "integer", "maximum": 3}, "angry": {"type": "boolean"}},
    "required": ["queue", "urgency"],
}  # fmt: skip
CHOICES = pb.QueueSpec(
    name="tickets", guideline="Say <b>which</b>.", choices=["billing", "shipping"], annotators_per_item=1
)
OBJECTS = pb.QueueSpec(name="tickets", guideline="Say which.", json_schema=json.dumps(SCHEMA), annotators_per_item=1)
Opened = Callable[[pb.QueueSpec], Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
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
    async with testing.channel_to([curation.registered(), FeedbackServicer(feedback).registered()]) as channel:
        yield Client(channel)
    engine.dispose()


@pytest.fixture
async def opened(client: Client) -> Opened:
    """Make a queue of two items and open its page."""

    async def opened(spec: pb.QueueSpec) -> httpx.AsyncClient:
        for number in (1, 2):
            given = feedback_pb.Feedback(
                feedback_id=f"f-{number}",
                revision_digest=DIGEST,
                messages=[{"role": "user", "content": f"<script>alert({number})</script>"}],
                response="other",
                thumb=feedback_pb.THUMB_DOWN,
                consent=True,
            )
            await client.feedback.RecordFeedback(feedback_pb.RecordFeedbackRequest(feedback=given))
        await client.curation.CreateQueue(pb.CreateQueueRequest(spec=spec))
        await client.curation.AddItems(pb.AddItemsRequest(queue=spec.name, feedback=pb.FeedbackFilter()))
        app = Page(client, spec, "ann").application("secret")
        transport = httpx.ASGITransport(app)
        return httpx.AsyncClient(transport=transport, base_url="http://page/secret/", follow_redirects=True)

    return opened


def item_of(answer: httpx.Response) -> str:
    found = re.search(r'name="item_id" value="(.+?)"', answer.text)
    return found[1] if found else ""


async def exported(client: Client) -> list[dict[str, Any]]:
    answer = await client.curation.ExportQueue(pb.ExportQueueRequest(queue="tickets"))
    path = Path(answer.export.uri.removeprefix("file://"))
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_items_are_labelled_by_buttons_one_after_the_other(client: Client, opened: Opened) -> None:
    async with await opened(CHOICES) as browser:
        first = await browser.get("")
        assert '<button name="label" value="billing" accesskey="1">1 billing</button>' in first.text
        second = await browser.post("label", data={"item_id": item_of(first), "label": "billing"})
        assert "1 labelled" in second.text
        assert item_of(second) not in ("", item_of(first))
        last = await browser.post("skip", data={"item_id": item_of(second), "reason": "Cut off."})
        assert "Nothing is left for you now." in last.text
    (row,) = await exported(client)
    assert row["annotations"] == [{"annotator": "ann", "label": "billing"}]


async def test_what_others_wrote_is_never_markup(opened: Opened) -> None:
    async with await opened(CHOICES) as browser:
        page = await browser.get("")
    assert "<script>" not in page.text
    assert "&lt;script&gt;alert(" in page.text
    assert "Say &lt;b&gt;which&lt;/b&gt;." in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_objects_are_forms_and_faults_stand_beside_what_was_typed(client: Client, opened: Opened) -> None:
    async with await opened(OBJECTS) as browser:
        item = item_of(await browser.get(""))
        wrong = {"item_id": item, "field.queue": "shipping", "field.urgency": "7", "field.angry": "no"}
        refused = await browser.post("label", data=wrong)
        assert refused.status_code == 422
        assert "label.urgency: 7 is greater than the maximum of 3." in refused.text
        assert item_of(refused) == item
        assert "<option selected>shipping</option>" in refused.text
        assert 'value="7"' in refused.text
        right = await browser.post("label", data={**wrong, "field.urgency": "3"})
        assert "1 labelled" in right.text
    (row,) = await exported(client)
    assert row["annotations"][0]["label"] == {"angry": False, "queue": "shipping", "urgency": 3}


async def test_a_session_goes_on_when_its_item_was_forgotten(client: Client, opened: Opened) -> None:
    async with await opened(CHOICES) as browser:
        item = item_of(await browser.get(""))
        await client.feedback.DeleteFeedback(feedback_pb.DeleteFeedbackRequest(feedback_id=item))
        answer = await browser.post("label", data={"item_id": item, "label": "billing"})
        assert "has no item" in answer.text
        assert "0 labelled" in answer.text
        assert item_of(answer) not in ("", item)
        assert "has no item" not in (await browser.get("")).text


async def test_without_the_secret_there_is_nothing(opened: Opened) -> None:
    async with await opened(CHOICES) as browser:
        for path in ("/", "/other/", "/other/label"):
            assert (await browser.get(f"http://page{path}")).status_code == 404
        assert (await browser.post("http://page/label", data={"item_id": "f-1", "label": "billing"})).status_code == 404

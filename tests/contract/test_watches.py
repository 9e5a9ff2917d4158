"""Watches: what comes after a version, what selectors make of it, bookmarks."""

import asyncio
from typing import Any

from kubernetes.aio.client import CustomObjectsApi
from kubernetes.aio.watch import Watch

MERGE = "application/merge-patch+json"


def seen(events: list[Any]) -> list[tuple[str, str]]:
    return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events]


async def test_a_watch_shows_every_change_after_a_version_once_and_in_order(api: Any) -> None:
    version = (await api.ok("GET", api.path()))["metadata"]["resourceVersion"]
    await api.widget("one")
    await api.widget("two")
    await api.ok("PATCH", api.path("widgets", "one"), {"spec": {"replicas": 2}}, content_type=MERGE)
    await api.ok("DELETE", api.path("widgets", "two"))
    events = await api.watch(api.path(), until=lambda found: len(found) == 4, resourceVersion=version)
    assert seen(events) == [("ADDED", "one"), ("ADDED", "two"), ("MODIFIED", "one"), ("DELETED", "two")]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert versions == sorted(set(versions))


async def test_a_watch_without_a_version_shows_what_there_is_first(api: Any) -> None:
    await api.widget("one")
    events = await api.watch(api.path(), until=lambda found: len(found) == 1)
    assert seen(events) == [("ADDED", "one")]


async def test_an_open_watch_sees_a_change_at_once(api: Any) -> None:
    version = (await api.ok("GET", api.path()))["metadata"]["resourceVersion"]
    watching = asyncio.create_task(api.watch(api.path(), until=lambda found: len(found) == 1, resourceVersion=version))
    await api.widget("one")
    assert seen(await watching) == [("ADDED", "one")]


async def test_what_enters_or_leaves_a_selection_is_added_or_deleted(api: Any) -> None:
    created = await api.widget("one", metadata={"labels": {"on": "no"}})
    for value in ("yes", "no"):
        body = {"metadata": {"labels": {"on": value}}}
        await api.ok("PATCH", api.path("widgets", "one"), body, content_type=MERGE)
    events = await api.watch(api.path(), until=lambda found: len(found) == 2, labelSelector="on=yes",
                             resourceVersion=created["metadata"]["resourceVersion"])  # fmt: skip
    assert seen(events) == [("ADDED", "one"), ("DELETED", "one")]


async def test_one_object_is_watched_by_its_name(api: Any) -> None:
    version = (await api.ok("GET", api.path()))["metadata"]["resourceVersion"]
    await api.widget("one")
    await api.widget("two")
    events = await api.watch(api.path(), until=lambda found: len(found) == 1, fieldSelector="metadata.name=two",
                             resourceVersion=version)  # fmt: skip
    assert seen(events) == [("ADDED", "two")]


async def test_a_streaming_list_ends_with_a_bookmark(api: Any) -> None:
    await api.widget("one")
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    events = await api.watch(api.path(), until=lambda found: found[-1]["type"] == "BOOKMARK", **query)
    assert seen(events)[0] == ("ADDED", "one")
    assert events[-1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_a_watch_ends_after_its_timeout(api: Any) -> None:
    version = (await api.ok("GET", api.path()))["metadata"]["resourceVersion"]
    events = await api.watch(api.path(), until=lambda found: False, resourceVersion=version, timeoutSeconds="1")
    assert events == []


async def test_the_official_watch_follows_a_custom_resource(api: Any) -> None:
    await api.widget("one")
    custom = CustomObjectsApi(api.client)
    async with Watch().stream(
        custom.list_namespaced_custom_object, "contract.touchstone.dev", "v1", api.namespace, "widgets",
        timeout_seconds=5,
    ) as stream:  # fmt: skip
        async for event in stream:
            assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "one")
            break


async def test_a_table_can_be_watched(api: Any) -> None:
    await api.widget("one")
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    answer = await api.ask("GET", api.path("widgets", "one"), accept=accept)
    assert answer.body["kind"] == "Table"
    assert len(answer.body["rows"]) == 1

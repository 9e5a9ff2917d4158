"""Objects: create, read, list, replace, delete, and the Status of what is refused."""

import base64
from pathlib import Path
from typing import Any

import pytest
from kubernetes.aio.client import ApiClient, AppsV1Api, Configuration, CoreV1Api, V1ConfigMap, V1ObjectMeta
from kubernetes.aio.config import load_kube_config


def config_map(name: str = "one", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


async def test_a_new_object_gets_its_metadata_from_the_server(api: Any) -> None:
    created = await api.ok("POST", api.path("configmaps"), config_map(a="1"))
    metadata = created["metadata"]
    assert metadata["namespace"] == api.namespace
    assert len(metadata["uid"]) == 36
    assert metadata["creationTimestamp"].endswith("Z")
    assert int(metadata["resourceVersion"]) > 0
    assert await api.ok("GET", api.path("configmaps", "one")) == created


async def test_the_official_typed_client_reads_and_writes(api: Any) -> None:
    core = CoreV1Api(api.client)
    body = V1ConfigMap(metadata=V1ObjectMeta(generate_name="typed-"), data={"k": "v"})
    created = await core.create_namespaced_config_map(api.namespace, body)
    assert created.metadata.name.startswith("typed-")
    assert len(created.metadata.name) == len("typed-") + 5
    listed = await core.list_namespaced_config_map(api.namespace)
    assert created.metadata.name in [item.metadata.name for item in listed.items]
    read = await core.read_namespaced_config_map(created.metadata.name, api.namespace)
    read.data = {"k": "w"}
    replaced = await core.replace_namespaced_config_map(created.metadata.name, api.namespace, read)
    assert replaced.data == {"k": "w"}
    assert (await AppsV1Api(api.client).list_namespaced_deployment(api.namespace)).items == []


async def test_what_does_not_exist_is_not_found(api: Any) -> None:
    status = await api.refused(404, "NotFound", "GET", api.path("configmaps", "none"))
    assert status["message"] == 'configmaps "none" not found'
    assert status["details"] == {"name": "none", "kind": "configmaps"}
    status = await api.refused(404, "NotFound", "GET", api.path("widgets", "none"))
    assert status["message"] == 'widgets.contract.touchstone.dev "none" not found'
    await api.refused(404, "NotFound", "DELETE", api.path("widgets", "none"))
    assert (await api.ask("GET", "/apis/contract.touchstone.dev/v1/gadgets")).status == 404


async def test_a_name_is_taken_once(api: Any) -> None:
    await api.ok("POST", api.path("configmaps"), config_map())
    status = await api.refused(409, "AlreadyExists", "POST", api.path("configmaps"), config_map())
    assert status["message"] == 'configmaps "one" already exists'


async def test_a_namespace_must_exist(api: Any) -> None:
    path = "/api/v1/namespaces/there-is-none/configmaps"
    status = await api.refused(404, "NotFound", "POST", path, config_map())
    assert "there-is-none" in status["message"]


async def test_a_stale_replacement_conflicts_and_changes_nothing(api: Any) -> None:
    first = await api.ok("POST", api.path("configmaps"), config_map(a="1"))
    second = await api.ok("PUT", api.path("configmaps", "one"), {**first, "data": {"a": "2"}})
    assert int(second["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])
    status = await api.refused(409, "Conflict", "PUT", api.path("configmaps", "one"), {**first, "data": {"a": "3"}})
    assert "the object has been modified" in status["message"]
    assert (await api.ok("GET", api.path("configmaps", "one")))["data"] == {"a": "2"}


async def test_a_write_that_changes_nothing_makes_no_new_version(api: Any) -> None:
    first = await api.ok("POST", api.path("configmaps"), config_map(a="1"))
    again = await api.ok("PUT", api.path("configmaps", "one"), first)
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_names_and_labels_keep_their_syntax(api: Any) -> None:
    status = await api.refused(422, "Invalid", "POST", api.path("configmaps"), config_map("Not_A_Name"))
    assert status["details"]["causes"][0]["field"] == "metadata.name"
    labelled = config_map() | {"metadata": {"name": "one", "labels": {"a": "not allowed"}}}
    status = await api.refused(422, "Invalid", "POST", api.path("configmaps"), labelled)
    assert status["details"]["causes"][0]["field"] == "metadata.labels"


async def test_lists_are_selected_by_labels_and_fields(api: Any) -> None:
    for name, labels in (("a", {"tier": "web"}), ("b", {"tier": "db"}), ("c", {})):
        body = config_map() | {"metadata": {"name": name, "labels": labels}}
        await api.ok("POST", api.path("configmaps"), body)

    async def names(**query: str) -> list[str]:
        listed = await api.ok("GET", api.path("configmaps"), **query)
        return [item["metadata"]["name"] for item in listed["items"] if item["metadata"]["name"] != "kube-root-ca.crt"]

    assert await names(labelSelector="tier=web") == ["a"]
    assert await names(labelSelector="tier in (web, db)") == ["a", "b"]
    assert await names(labelSelector="tier,tier!=db") == ["a"]
    assert await names(labelSelector="!tier") == ["c"]
    assert await names(fieldSelector="metadata.name=b") == ["b"]
    assert await names(fieldSelector="metadata.name!=b,metadata.name!=c") == ["a"]
    await api.refused(400, "BadRequest", "GET", api.path("configmaps"), fieldSelector="data.x=1")
    await api.refused(400, "BadRequest", "GET", api.path("configmaps"), labelSelector="a in b")


async def test_pods_are_selected_by_node_and_phase(api: Any) -> None:
    pod = {"metadata": {"name": "p"}, "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i:1"}]}}
    await api.ok("POST", api.path("pods"), pod)
    listed = await api.ok("GET", api.path("pods"), fieldSelector="spec.nodeName=n1,status.phase=Pending")
    assert [item["metadata"]["name"] for item in listed["items"]] == ["p"]
    listed = await api.ok("GET", api.path("pods"), fieldSelector="status.phase=Running")
    assert listed["items"] == []
    await api.ok("DELETE", api.path("pods", "p"), {"gracePeriodSeconds": 0})


async def test_the_pages_of_a_list_show_one_version(api: Any) -> None:
    for name in "abcde":
        await api.widget(name)
    page = await api.ok("GET", api.path(), limit="2")
    assert page["metadata"]["remainingItemCount"] == 3
    await api.ok("DELETE", api.path("widgets", "d"))
    seen = [item["metadata"]["name"] for item in page["items"]]
    while token := page["metadata"].get("continue"):
        page = await api.ok("GET", api.path(), limit="2", **{"continue": token})
        seen += [item["metadata"]["name"] for item in page["items"]]
    assert seen == list("abcde")


async def test_a_dry_run_answers_as_if_and_stores_nothing(api: Any) -> None:
    created = await api.ok("POST", api.path("configmaps"), config_map(a="1"), dryRun="All")
    assert created["metadata"]["uid"]
    await api.refused(404, "NotFound", "GET", api.path("configmaps", "one"))
    await api.ok("POST", api.path("configmaps"), config_map(a="1"))
    await api.ok("DELETE", api.path("configmaps", "one"), dryRun="All")
    assert (await api.ok("GET", api.path("configmaps", "one")))["data"] == {"a": "1"}


async def test_an_immutable_config_map_never_changes_again(api: Any) -> None:
    created = await api.ok("POST", api.path("configmaps"), config_map(a="1") | {"immutable": True})
    changed = {**created, "data": {"a": "2"}}
    status = await api.refused(422, "Invalid", "PUT", api.path("configmaps", "one"), changed)
    assert "immutable" in status["message"]
    await api.refused(422, "Invalid", "PUT", api.path("configmaps", "one"), {**created, "immutable": False})
    labelled = {**created, "metadata": {**created["metadata"], "labels": {"may": "change"}}}
    assert (await api.ok("PUT", api.path("configmaps", "one"), labelled))["metadata"]["labels"] == {"may": "change"}


async def test_the_texts_of_a_secret_are_stored_encoded(api: Any) -> None:
    body = {"metadata": {"name": "s"}, "stringData": {"token": "geheim"}}
    created = await api.ok("POST", api.path("secrets"), body)
    assert created["data"] == {"token": base64.b64encode(b"geheim").decode()}
    assert "stringData" not in created
    assert created["type"] == "Opaque"


async def test_workloads_get_the_defaults_of_their_kind(api: Any) -> None:
    labels = {"app": "x"}
    container = {"name": "c", "image": "i", "ports": [{"containerPort": 80}], "readinessProbe": {"grpc": {"port": 80}}}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    body = {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": labels}, "template": template}}
    created = await api.ok("POST", api.path("deployments"), body)
    spec = created["spec"]
    assert (spec["replicas"], spec["strategy"]["type"], created["metadata"]["generation"]) == (1, "RollingUpdate", 1)
    pod = spec["template"]["spec"]
    assert (pod["restartPolicy"], pod["terminationGracePeriodSeconds"]) == ("Always", 30)
    assert pod["containers"][0]["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert pod["containers"][0]["readinessProbe"]["periodSeconds"] == 10
    assert pod["containers"][0]["imagePullPolicy"] == "Always"


async def test_a_deployment_must_select_its_own_pods(api: Any) -> None:
    template = {"metadata": {"labels": {"app": "y"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}
    body = {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"app": "x"}}, "template": template}}
    status = await api.refused(422, "Invalid", "POST", api.path("deployments"), body)
    assert "`selector` does not match template `labels`" in status["message"]


async def test_a_job_selects_its_pods_by_its_uid(api: Any) -> None:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i:1"}]}}
    created = await api.ok("POST", api.path("jobs"), {"metadata": {"name": "j"}, "spec": {"template": template}})
    uid = created["metadata"]["uid"]
    assert created["spec"]["selector"]["matchLabels"] == {"batch.kubernetes.io/controller-uid": uid}
    assert created["spec"]["template"]["metadata"]["labels"]["batch.kubernetes.io/job-name"] == "j"
    assert (created["spec"]["completions"], created["spec"]["backoffLimit"]) == (1, 6)


async def test_only_one_view_of_an_event_is_stored(api: Any) -> None:
    reference = {"kind": "ConfigMap", "name": "one", "namespace": api.namespace}
    body = {"metadata": {"name": "e"}, "involvedObject": reference, "reason": "Seen", "message": "m", "type": "Normal"}
    await api.ok("POST", api.path("events"), body)
    viewed = await api.ok("GET", f"/apis/events.k8s.io/v1/namespaces/{api.namespace}/events/e")
    assert (viewed["regarding"]["name"], viewed["note"], viewed["apiVersion"]) == ("one", "m", "events.k8s.io/v1")
    listed = await api.ok("GET", api.path("events"), fieldSelector="involvedObject.name=one,type=Normal")
    assert [item["metadata"]["name"] for item in listed["items"]] == ["e"]


@pytest.mark.parametrize("token", ["", "Bearer wrong"])
async def test_a_missing_or_wrong_token_is_unauthorized(cluster: Path, api: Any, token: str) -> None:
    configuration = Configuration()
    await load_kube_config(config_file=str(cluster), client_configuration=configuration, persist_config=False)
    configuration.cert_file = configuration.key_file = None
    configuration.api_key = {"BearerToken": token} if token else {}
    async with ApiClient(configuration=configuration) as client:
        await type(api)(client, api.namespace).refused(401, "Unauthorized", "GET", api.path("configmaps"))


async def test_the_holder_of_the_token_may_do_everything(api: Any) -> None:
    attributes = {"verb": "create", "resource": "pods", "namespace": api.namespace}
    body: dict[str, Any] = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
    body["spec"] = {"resourceAttributes": attributes}
    review = await api.ok("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
    assert review["status"]["allowed"] is True

"""Weights behind credentials: the Secret that a ModelDeployment names, and what is told where it cannot be read."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from touchstone.evaluation.v1 import evaluation_service_pb2 as pb
from touchstone_operator import errors, objects
from touchstone_operator.adapters import evaluation
from touchstone_operator.api.evaluations import Dataset

SECRET = {
    "metadata": {"name": "hub", "namespace": "team-a"},
    "data": {"HF_TOKEN": base64.b64encode(b"hf_x").decode()},
}


@pytest.fixture
def guarded(world: Any, apply: Callable[..., None]) -> Any:
    """A deployment whose weights are looked up with a Secret."""
    apply()
    model = world.deployment()["spec"]["model"]
    model.pop("revision", None)
    model.update(uri="hf://org/model", credentialsSecretRef={"name": "hub"})
    return world


def namespace(world: Any) -> str:
    found: str = world.deployment()["metadata"]["namespace"]
    return found


async def test_weights_are_looked_up_with_the_secret_that_the_model_names(guarded: Any) -> None:
    secret = {**SECRET, "metadata": {"name": "hub", "namespace": namespace(guarded)}}
    await guarded.cluster.create(objects.SECRET, secret)
    await guarded.settle()
    assert guarded.models.credentials["hf://org/model"] == {"HF_TOKEN": "hf_x"}
    assert guarded.condition("ModelCached")[0] == "True"


async def test_adapters_are_looked_up_without_the_secret_of_the_model(guarded: Any) -> None:
    await guarded.cluster.create(
        objects.SECRET, {**SECRET, "metadata": {"name": "hub", "namespace": namespace(guarded)}}
    )
    source = {"type": "URI", "uri": "s3://adapters/tone/"}
    guarded.deployment()["spec"]["adapters"] = [{"name": "tone", "source": source}]
    await guarded.settle()
    assert guarded.models.credentials["s3://adapters/tone/"] == {}


async def test_a_secret_that_is_not_there_is_told_and_waited_for(guarded: Any) -> None:
    await guarded.settle()
    assert guarded.condition("Stalled") == ("True", "CredentialsNotFound")
    assert guarded.models.asked == []
    await guarded.cluster.create(
        objects.SECRET, {**SECRET, "metadata": {"name": "hub", "namespace": namespace(guarded)}}
    )
    await guarded.settle()
    assert guarded.condition("ModelCached")[0] == "True"


async def test_a_secret_that_may_not_be_read_is_told_with_the_value_that_lets_it(guarded: Any) -> None:
    guarded.cluster.forbidden["Secret"] = errors.ClusterForbidden("GET secrets/hub", "no rights")
    await guarded.settle()
    assert guarded.condition("Stalled") == ("True", "CredentialsForbidden")
    conditions = guarded.deployment()["status"]["conditions"]
    (message,) = [each["message"] for each in conditions if each["type"] == "Stalled"]
    assert "operator.readSecrets" in message
    assert "spec.model.revision" in message


async def test_a_model_that_takes_no_keys_is_looked_up_without_those_of_its_adapters(guarded: Any) -> None:
    """The Secret is the environment of its engine, which fetches adapters with it."""
    await guarded.cluster.create(
        objects.SECRET, {**SECRET, "metadata": {"name": "hub", "namespace": namespace(guarded)}}
    )
    guarded.deployment()["spec"]["model"]["uri"] = "gs://models/model.gguf"
    await guarded.settle()
    assert guarded.models.credentials["gs://models/model.gguf"] == {}


def test_the_keys_of_a_data_set_are_named_to_who_fetches_it() -> None:
    dataset = {"uri": "s3://sets/items.jsonl", "credentialsSecretRef": {"name": "store"}}
    sent = evaluation.dataset(Dataset.model_validate(dataset), "team-a")
    assert sent.credentials == pb.SecretReference(namespace="team-a", name="store")
    open_set = evaluation.dataset(Dataset.model_validate({"uri": "s3://sets/items.jsonl"}), "team-a")
    assert not open_set.HasField("credentials")


async def test_engines_log_in_to_a_registry_by_the_secret_of_the_model(world: Any, apply: Callable[..., None]) -> None:
    """The key of such a Secret is no name of a variable, so envFrom leaves it out."""
    apply()
    pinned = f"oci://registry.example/chat#sha256={'c' * 64}"
    world.deployment()["spec"]["model"] = {"uri": pinned, "credentialsSecretRef": {"name": "registry"}}
    await world.settle()
    container = engine(world)
    reference = {"name": "registry", "key": ".dockerconfigjson", "optional": True}
    assert {"name": "DOCKER_AUTH_CONFIG", "valueFrom": {"secretKeyRef": reference}} in container["env"]
    assert container["envFrom"] == [{"secretRef": {"name": "registry"}}]


async def test_engines_log_in_to_the_registry_of_an_adapter(guarded: Any) -> None:
    secret = {**SECRET, "metadata": {"name": "hub", "namespace": namespace(guarded)}}
    await guarded.cluster.create(objects.SECRET, secret)
    source = {"type": "URI", "uri": f"oci://registry.example/tone#sha256={'d' * 64}"}
    guarded.deployment()["spec"]["adapters"] = [{"name": "tone", "source": source}]
    await guarded.settle()
    assert "DOCKER_AUTH_CONFIG" in {variable["name"] for variable in engine(guarded)["env"]}


async def test_engines_of_other_weights_have_no_login_of_a_registry(guarded: Any) -> None:
    secret = {**SECRET, "metadata": {"name": "hub", "namespace": namespace(guarded)}}
    await guarded.cluster.create(objects.SECRET, secret)
    await guarded.settle()
    assert "DOCKER_AUTH_CONFIG" not in {variable["name"] for variable in engine(guarded)["env"]}


def engine(world: Any) -> Any:
    """The container of the only engines."""
    (deployment,) = [obj for (kind, *_), obj in world.cluster.objects.items() if kind == "Deployment"]
    return deployment["spec"]["template"]["spec"]["containers"][0]

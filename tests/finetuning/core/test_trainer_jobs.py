"""What the state of a Job says of its trainer. The states are as Kubernetes 1.36 writes them."""

from typing import Any

import pytest
from touchstone_finetuning.core import trainer_jobs
from touchstone_finetuning.core.resources import Gpus, Resources
from touchstone_finetuning.core.trainer_jobs import Cause, End

BACKOFF = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}
POLICY = {
    "type": "Failed",
    "status": "True",
    "reason": "PodFailurePolicy",
    "message": "Pod default/t-x has condition DisruptionTarget matching FailJob rule at index 0",
}
DISRUPTED = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler", "message": "preempting"}


def job(*conditions: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": "t", "uid": "u"}, "status": {"conditions": [*conditions]}}


def pod(phase: str, *conditions: dict[str, Any], message: str = "", **state: Any) -> dict[str, Any]:
    container = {"name": "trainer", "resources": {"limits": {"memory": "16Gi"}}}
    status: dict[str, Any] = {"phase": phase, "conditions": [*conditions], "message": message}
    if state:
        status["containerStatuses"] = [{"name": "trainer", "state": state}]
    return {"metadata": {"name": "t-x"}, "spec": {"containers": [container]}, "status": status}


def exited(code: int, reason: str = "Error") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason}}


@pytest.mark.parametrize(
    ("found", "pods", "end"),
    [
        (job(), [], None),
        (job(), [pod("Running", running={})], None),
        (job(), [pod("Running", DISRUPTED, running={})], None),
        (job(), [pod("Succeeded", **exited(0, "Completed"))], End(cause=Cause.EXITED)),
        (job(), [pod("Failed", **exited(1))], End(cause=Cause.EXITED, code=1)),
        (job(), [pod("Failed", **exited(137))], End(cause=Cause.EXITED, code=-9)),
        (
            job(BACKOFF),
            [pod("Failed", **exited(137, "OOMKilled"))],
            End(cause=Cause.OUT_OF_MEMORY, code=137, message="16Gi"),
        ),
        (job(), [pod("Failed", DISRUPTED, **exited(75))], End(cause=Cause.DISRUPTED, message="preempting")),
        (job(POLICY), [], End(cause=Cause.DISRUPTED, message=POLICY["message"])),
        (job(POLICY), [pod("Running", running={})], None),
        (job(BACKOFF), [], End(cause=Cause.LOST, message="somebody has removed its pod")),
        (
            job(BACKOFF),
            [pod("Failed", message="Pod was rejected: Allocate failed")],
            End(cause=Cause.LOST, message="Pod was rejected: Allocate failed"),
        ),
        (None, [], End(cause=Cause.LOST, message="somebody has removed its Job")),
        (job({"type": "Complete", "status": "True"}), [], End(cause=Cause.EXITED)),
    ],
)
def test_how_a_trainer_ended_is_read_from_its_job_and_pods(found: Any, pods: list[Any], end: End | None) -> None:
    assert trainer_jobs.end(found, pods) == end


def test_a_trainer_without_a_node_says_what_the_scheduler_says() -> None:
    message = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
    unscheduled = pod("Pending", {"type": "PodScheduled", "status": "False", "message": message})
    wait = trainer_jobs.waits_for([unscheduled], [])
    assert wait
    assert (wait.message, wait.is_image) == (f"a node: {message}", False)


def test_a_trainer_without_an_image_says_which() -> None:
    pulling = pod("Pending", waiting={"reason": "ImagePullBackOff", "message": 'Back-off pulling image "x"'})
    wait = trainer_jobs.waits_for([pulling], [])
    assert wait
    assert (wait.message, wait.is_image) == ('its image: ImagePullBackOff: Back-off pulling image "x"', True)


def test_a_job_without_pods_says_what_is_complained_about_it() -> None:
    wait = trainer_jobs.waits_for([], ["older", 'pods "t-x" is forbidden: exceeded quota: gpu'])
    assert wait
    assert wait.message == 'a pod: pods "t-x" is forbidden: exceeded quota: gpu'


def template() -> dict[str, Any]:
    pod_spec = {"containers": [{"name": "trainer", "resources": {"requests": {"cpu": "1500m"}}}]}
    metadata = {"name": "touchstone-training", "namespace": "touchstone"}
    return {"kind": "Job", "metadata": metadata, "spec": {"template": {"spec": pod_spec}}}


def rendered(recipe: str = "one", **asked: str) -> dict[str, Any]:
    key = "0123456789abcdef" * 2
    return trainer_jobs.render(template(), key=key, arguments=("/work",), resources=Resources(**asked), recipe=recipe)


def test_a_run_has_one_name_and_another_recipe_or_resources_are_told_apart() -> None:
    assert rendered()["metadata"]["name"] == "touchstone-training-0123456789abcdef"
    assert trainer_jobs.does_the_same(rendered(), rendered())
    assert not trainer_jobs.does_the_same(rendered(), rendered("two"))
    assert not trainer_jobs.does_the_same(rendered(), rendered(memory="2Gi"))


def test_a_gpu_takes_the_place_of_other_devices() -> None:
    given = template()
    container = given["spec"]["template"]["spec"]["containers"][0]
    container["resources"] = {"requests": {"cpu": "4"}, "limits": {"memory": "8Gi", "nvidia.com/gpu": "1"}}
    asked = Resources(memory="64Gi", gpus=Gpus(count=2, resource="amd.com/gpu"))
    job = trainer_jobs.render(given, key="k", arguments=(), resources=asked, recipe="")
    assert job["spec"]["template"]["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "4", "memory": "64Gi", "amd.com/gpu": "2"},
        "limits": {"memory": "64Gi", "amd.com/gpu": "2"},
    }
    assert container["resources"]["limits"]["memory"] == "8Gi"


def test_names_fit_whatever_the_release_is_called() -> None:
    long = template()
    long["metadata"]["name"] = "x" * 60
    assert len(trainer_jobs.name(long, "0" * 32)) == 63


def test_a_training_that_names_no_cores_has_threads_for_those_of_the_platform() -> None:
    assert trainer_jobs.defaults(template()).threads == 2


@pytest.mark.parametrize("broken", [{}, {"metadata": {"name": "t"}}, {**template(), "spec": {}}])
def test_a_template_that_is_none_is_told(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="it has no"):
        trainer_jobs.check(broken)

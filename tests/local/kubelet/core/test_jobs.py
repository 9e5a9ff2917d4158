"""Jobs: completion, retries, deadlines, time to live."""

from datetime import UTC, datetime, timedelta

from touchstone_local import fields
from touchstone_local.fields import Object
from touchstone_local.kubelet.core import jobs

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def job(status: Object | None = None, **spec: object) -> Object:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "load", "namespace": "default", "uid": "j-1"},
        "spec": {"template": {"spec": {"containers": [{"name": "main"}]}}, **spec},
        "status": status or {},
    }


def pod(name: str, phase: str, *, ended_seconds_ago: float = 100) -> Object:
    ended = fields.timestamp(NOW - timedelta(seconds=ended_seconds_ago))
    state = {"terminated": {"finishedAt": ended}} if phase in ("Failed", "Succeeded") else {"running": {}}
    return {"metadata": {"name": name}, "status": {"phase": phase, "containerStatuses": [{"state": state}]}}


def ending(plan: jobs.JobPlan) -> str:
    return next((fields.text(each, "reason") for each in fields.items(plan.status, "conditions")), "")


def test_a_job_gets_one_pod() -> None:
    plan = jobs.plan(job(), [], now=NOW)
    assert plan.create == 1
    assert plan.status["startTime"] == fields.timestamp(NOW)
    assert jobs.plan(job(), [pod("load-a", "Running")], now=NOW).create == 0


def test_a_pod_that_succeeds_completes_the_job() -> None:
    plan = jobs.plan(job(), [pod("load-a", "Succeeded")], now=NOW)
    assert (plan.create, ending(plan), plan.status["succeeded"]) == (0, "CompletionsReached", 1)
    assert plan.status["completionTime"] == fields.timestamp(NOW)


def test_a_failed_pod_is_followed_by_another_after_a_pause() -> None:
    waiting = jobs.plan(job(), [pod("load-a", "Failed", ended_seconds_ago=0)], now=NOW)
    assert (waiting.create, waiting.again_at) == (0, NOW + timedelta(seconds=1))
    assert jobs.plan(job(), [pod("load-a", "Failed", ended_seconds_ago=2)], now=NOW).create == 1


def test_more_failures_than_the_backoff_limit_fail_the_job() -> None:
    plan = jobs.plan(job(backoffLimit=1), [pod("load-a", "Failed"), pod("load-b", "Failed")], now=NOW)
    assert (plan.create, ending(plan), plan.status["failed"]) == (0, "BackoffLimitExceeded", 2)


def test_a_pod_that_somebody_removes_is_a_failure() -> None:
    removed = {**pod("load-a", "Running"), "metadata": {"name": "load-a", "deletionTimestamp": fields.timestamp(NOW)}}
    plan = jobs.plan(job(backoffLimit=0), [removed], now=NOW)
    assert (plan.create, ending(plan), plan.status["failed"]) == (0, "BackoffLimitExceeded", 1)


def test_a_pod_that_is_taken_away_fails_the_job_by_its_policy() -> None:
    rule = {"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    evicted = pod("load-a", "Failed")
    evicted = {
        **evicted,
        "status": {**fields.mapping(evicted, "status"), "conditions": [{"type": "DisruptionTarget", "status": "True"}]},
    }
    policy = job(backoffLimit=3, podFailurePolicy={"rules": [rule]})
    assert ending(jobs.plan(policy, [evicted], now=NOW)) == "PodFailurePolicy"
    assert ending(jobs.plan(policy, [pod("load-a", "Failed")], now=NOW)) == ""


def test_a_job_past_its_deadline_fails_and_its_pods_go() -> None:
    started = {"startTime": fields.timestamp(NOW - timedelta(seconds=31))}
    plan = jobs.plan(job(started, activeDeadlineSeconds=30), [pod("load-a", "Running")], now=NOW)
    assert (plan.remove, ending(plan)) == (("load-a",), "DeadlineExceeded")


def test_a_suspended_job_has_no_pods() -> None:
    plan = jobs.plan(job(suspend=True), [pod("load-a", "Running")], now=NOW)
    assert (plan.create, plan.remove) == (0, ("load-a",))


def test_a_finished_job_goes_when_its_time_to_live_is_over() -> None:
    done = jobs.plan(job(), [pod("load-a", "Succeeded")], now=NOW).status
    finished = job(done, ttlSecondsAfterFinished=60)
    early = jobs.plan(finished, [], now=NOW + timedelta(seconds=59))
    assert (early.remove_job, early.again_at) == (False, NOW + timedelta(seconds=60))
    assert jobs.plan(finished, [], now=NOW + timedelta(seconds=60)).remove_job


def test_a_finished_job_never_starts_again() -> None:
    done = jobs.plan(job(), [pod("load-a", "Succeeded")], now=NOW).status
    plan = jobs.plan(job(done), [], now=NOW)
    assert (plan.create, plan.status) == (0, done)


def test_a_failed_pod_that_someone_deleted_still_counts() -> None:
    assert ending(jobs.plan(job({"failed": 1}, backoffLimit=0), [], now=NOW)) == "BackoffLimitExceeded"

"""FinetuneJobs: begun once, suspended, ended and written down, whatever happens to the operator meanwhile."""

from typing import Any

import pytest
from google.protobuf import json_format, struct_pb2
from touchstone.data.v1 import data_service_pb2 as data_pb
from touchstone.finetuning.v1 import finetuning_service_pb2 as pb
from touchstone_operator import objects
from touchstone_operator.adapters import data, finetuning
from touchstone_operator.api.finetunejob import DataPipeline, FinetuneJobSpec, FinetuneJobStatus
from touchstone_operator.ports import DataSource, Measured, PipelineRequest, TrainingRequest
from touchstone_runtime.revisions import Digest

NAMESPACE = "default"
SPEC = {
    "baseModel": {"uri": f"file:///model#sha256={'a' * 64}"},
    "method": {"type": "LoRA", "lora": {"rank": 8, "alpha": 16}},
    "dataset": {"uri": "file:///data.jsonl", "format": "ChatML", "validationSplit": "0.1"},
    "hyperparameters": {"epochs": 2, "learningRate": "2e-3", "batchSize": 4, "seed": 7},
    "output": {"uri": "file:///out"},
}


def tune(world: Any, **changes: Any) -> None:
    world.cluster.put_spec(objects.FINETUNE_JOB, "tune", SPEC | changes)


def job(world: Any) -> dict[str, Any]:
    found: dict[str, Any] = world.cluster.objects["FinetuneJob", NAMESPACE, "tune"]
    return found


def status(world: Any) -> dict[str, Any]:
    found: dict[str, Any] = job(world).get("status") or {}
    return found


def condition(world: Any, kind: str) -> tuple[str, str]:
    found = next((c for c in status(world).get("conditions", ()) if c["type"] == kind), {})
    return found.get("status", ""), found.get("reason", "")


async def rounds(world: Any, count: int) -> None:
    for _ in range(count):
        await world.round()


async def test_a_job_comes_to_an_artefact_with_its_lineage(world: Any) -> None:
    tune(world)
    await world.settle()
    assert condition(world, "Succeeded") == ("True", "Completed")
    assert status(world)["artifact"]["digest"] == f"sha256:{'b' * 64}"
    assert status(world)["provenance"]["datasetDigest"] == f"sha256:{'d' * 64}"
    assert "completionTime" in status(world)
    assert "finalizers" not in job(world)["metadata"]
    assert len(world.finetuning.trainings) == 1


async def test_progress_is_told_while_it_trains(world: Any) -> None:
    world.finetuning.is_endless = True
    tune(world)
    await rounds(world, 5)
    assert status(world)["progress"]["totalSteps"] == 40
    assert status(world)["metrics"] == [
        {"name": "train_loss", "value": "1.5", "step": status(world)["progress"]["step"]}
    ]
    assert condition(world, "Progressing") == ("True", "Training")
    assert condition(world, "Reconciling") == ("True", "Training")


async def test_a_suspended_job_starts_nothing_until_it_may(world: Any) -> None:
    tune(world, suspend=True)
    await rounds(world, 5)
    assert world.finetuning.trainings == {}
    assert condition(world, "Suspended") == ("True", "Suspended")
    tune(world)
    await world.settle()
    assert condition(world, "Succeeded") == ("True", "Completed")


async def test_suspending_stops_the_training_and_resuming_goes_on_in_the_same_run(world: Any) -> None:
    tune(world)
    await rounds(world, 4)
    tune(world, suspend=True)
    await rounds(world, 8)
    (first,) = world.finetuning.trainings
    assert world.finetuning.cancelled == {first}
    assert condition(world, "Suspended") == ("True", "Suspended")
    assert "dispatchId" not in status(world)
    assert "finalizers" not in job(world)["metadata"]
    tune(world)
    await world.settle()
    second = next(name for name in world.finetuning.trainings if name != first)
    assert world.finetuning.trainings[second].run == world.finetuning.trainings[first].run
    assert condition(world, "Succeeded") == ("True", "Completed")


async def test_a_failure_is_written_with_its_reason(world: Any) -> None:
    world.finetuning.failure = ("DatasetInvalid", "Line 3 has no messages.")
    tune(world)
    await world.settle()
    assert condition(world, "Succeeded") == ("False", "DatasetInvalid")
    message = next(c["message"] for c in status(world)["conditions"] if c["type"] == "Succeeded")
    assert message == "Line 3 has no messages."


async def test_a_job_that_used_up_its_attempts_says_so(world: Any) -> None:
    world.finetuning.failure = ("TrainerDied", "The trainer was killed by signal 9.")
    tune(world)
    await world.settle()
    assert condition(world, "Succeeded") == ("False", "BackoffLimitExceeded")


async def test_the_deadline_ends_a_job_and_its_training(world: Any) -> None:
    world.finetuning.is_endless = True
    tune(world, activeDeadlineSeconds=20)
    await world.settle()
    assert condition(world, "Succeeded") == ("False", "DeadlineExceeded")
    assert world.finetuning.cancelled == set(world.finetuning.trainings)


async def test_a_worker_that_is_silent_shows(world: Any) -> None:
    world.finetuning.is_endless = True
    tune(world)
    await rounds(world, 2)
    world.finetuning.heartbeat_time = world.clock().strftime("%Y-%m-%dT%H:%M:%SZ")
    await rounds(world, 2)
    assert condition(world, "Progressing") == ("True", "Training")
    world.clock.advance(300)
    await rounds(world, 2)
    assert condition(world, "Progressing") == ("False", "HeartbeatLost")


async def test_a_service_that_is_away_is_waited_for(world: Any) -> None:
    world.finetuning.is_away = True
    tune(world)
    await rounds(world, 5)
    assert condition(world, "Progressing") == ("False", "FinetuningUnavailable")
    world.finetuning.is_away = False
    await world.settle()
    assert condition(world, "Succeeded") == ("True", "Completed")


async def test_a_job_that_goes_takes_its_training_along(world: Any) -> None:
    world.finetuning.is_endless = True
    tune(world)
    await rounds(world, 4)
    world.cluster.ask_to_go(objects.FINETUNE_JOB, "tune")
    await rounds(world, 2)
    assert world.names("FinetuneJob") == []
    assert world.finetuning.cancelled == set(world.finetuning.trainings)


async def test_a_finished_job_goes_after_its_time(world: Any) -> None:
    tune(world, ttlSecondsAfterFinished=30)
    await rounds(world, 20)
    assert world.names("FinetuneJob") == ["tune"]
    world.clock.advance(60)
    await rounds(world, 2)
    assert world.names("FinetuneJob") == []


async def test_why_an_attempt_failed_is_told_while_the_next_one_is_waited_for(world: Any) -> None:
    world.finetuning.last_fault = ("SecretNotFound", "There is no Secret store in the namespace default.")
    tune(world)
    await rounds(world, 4)
    told = next(each for each in status(world)["conditions"] if each["type"] == "Succeeded")
    assert (told["status"], told["reason"]) == ("Unknown", "Retrying")
    assert told["message"].startswith("Attempt 1 failed: There is no Secret store in the namespace default. The next")


async def test_what_a_training_waits_for_is_told(world: Any) -> None:
    world.finetuning.is_endless = True
    world.finetuning.waits_for = "a node: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
    tune(world)
    await rounds(world, 4)
    assert condition(world, "Progressing") == ("False", "Waiting")
    told = next(each for each in status(world)["conditions"] if each["type"] == "Progressing")
    assert told["message"].startswith("Waits for a node: 0/3 nodes")


def test_resources_and_queue_are_passed_on() -> None:
    asked = {"cpu": "4", "memory": "16Gi", "gpu": {"count": 2, "resourceName": "amd.com/gpu"}}
    spec = FinetuneJobSpec.model_validate(SPEC | {"resources": asked, "queue": "large"})
    source = DataSource(uri="file:///data.jsonl", digest="")
    sent = finetuning.training_spec(
        TrainingRequest(dispatch_id="d", namespace=NAMESPACE, run="uid", spec=spec, data=source)
    )
    gpu = pb.Gpu(count=2, resource_name="amd.com/gpu")
    assert (sent.resources, sent.queue) == (pb.Resources(cpu="4", memory="16Gi", gpu=gpu), "large")


@pytest.mark.parametrize("after", range(1, 9))
async def test_an_operator_that_is_killed_after_any_write_starts_one_training(world: Any, after: int) -> None:
    tune(world)
    world.cluster.kill_after = world.cluster.writes + after
    await world.settle()
    assert len(world.finetuning.trainings) == 1
    assert condition(world, "Succeeded") == ("True", "Completed")


PIPELINE = {
    "sources": [{"name": "tickets", "uri": "file:///tickets.jsonl", "idField": "id"}],
    "textFields": ["body"],
    "steps": [{"name": "deduplicate-exact"}, {"name": "length", "parameters": {"min_words": 4}}],
    "licence": "CC0-1.0",
}
FROM_PIPELINE = {"format": "ChatML", "pipeline": PIPELINE}


async def test_a_pipeline_makes_the_data_first_and_its_snapshot_is_trained_on(world: Any) -> None:
    tune(world, dataset=FROM_PIPELINE)
    await rounds(world, 4)
    assert world.finetuning.trainings == {}
    assert condition(world, "Progressing") == ("True", "PreparingData")
    await world.settle()
    assert status(world)["dataset"]["digest"] == f"sha256:{'5' * 64}"
    assert (status(world)["dataset"]["records"], status(world)["dataset"]["dropped"]) == (90, 10)
    (training,) = world.finetuning.trainings.values()
    assert training.data == DataSource(uri="file:///snapshots/1/", digest=f"sha256:{'5' * 64}")
    assert condition(world, "Succeeded") == ("True", "Completed")


async def test_a_pipeline_that_fails_trains_nothing(world: Any) -> None:
    world.data.failure = ("Contaminated", "3 records stand in the evaluation set.")
    tune(world, dataset=FROM_PIPELINE)
    await world.settle()
    assert condition(world, "Succeeded") == ("False", "Contaminated")
    assert world.finetuning.trainings == {}


async def test_a_pipeline_is_suspended_with_its_job_and_begun_again(world: Any) -> None:
    tune(world, dataset=FROM_PIPELINE)
    await rounds(world, 3)
    tune(world, dataset=FROM_PIPELINE, suspend=True)
    await rounds(world, 6)
    assert world.data.cancelled == set(world.data.pipelines)
    assert condition(world, "Suspended") == ("True", "Suspended")
    tune(world, dataset=FROM_PIPELINE)
    await world.settle()
    assert len(world.data.pipelines) == 2
    assert condition(world, "Succeeded") == ("True", "Completed")


async def test_a_job_that_goes_takes_its_pipeline_along(world: Any) -> None:
    tune(world, dataset=FROM_PIPELINE)
    await rounds(world, 3)
    world.cluster.ask_to_go(objects.FINETUNE_JOB, "tune")
    await rounds(world, 2)
    assert world.names("FinetuneJob") == []
    assert world.data.cancelled == set(world.data.pipelines)


@pytest.mark.parametrize("after", range(1, 12))
async def test_an_operator_that_is_killed_after_any_write_runs_one_pipeline(world: Any, after: int) -> None:
    tune(world, dataset=FROM_PIPELINE)
    world.cluster.kill_after = world.cluster.writes + after
    await world.settle()
    assert (len(world.data.pipelines), len(world.finetuning.trainings)) == (1, 1)
    assert condition(world, "Succeeded") == ("True", "Completed")


SUITE = {"name": "golden", "task": "question-answering", "dataset": {"uri": f"file:///items#sha256={'0' * 64}"}}
FLOOR = {"name": "floor", "metric": "golden/contains", "absolute": {"operator": "GreaterOrEqual", "value": "0.5"}}
EVALUATION = {
    "modelDeploymentRef": {"name": "chat"},
    "evalRunTemplate": {"spec": {"suites": [SUITE], "criteria": [FLOOR]}},
}


def deploy(world: Any) -> None:
    spec = {
        "model": {"uri": f"file:///model#sha256={'a' * 64}"},
        "adapters": [{"name": "tone", "source": {"type": "FinetuneJob", "finetuneJobRef": {"name": "tune"}}}],
        "defaultAdapter": "tone",
        "engine": {"type": "Scripted"},
        "rollout": {"strategy": "Recreate", "drainSeconds": 1},
    }
    world.cluster.put_spec(objects.MODEL_DEPLOYMENT, "chat", spec)


@pytest.mark.parametrize(("verdict", "held"), [("Passed", "True"), ("Failed", "False"), ("Error", "False")])
async def test_the_verdict_on_the_revision_with_the_adapter_is_recorded(world: Any, verdict: str, held: str) -> None:
    world.evaluation.verdict = lambda _: verdict
    tune(world, evaluation=EVALUATION)
    await world.settle()
    assert condition(world, "Evaluated") == ("Unknown", "NoRevision")
    deploy(world)
    await world.settle()
    assert condition(world, "Evaluated") == (held, verdict)
    assert condition(world, "Succeeded") == ("True", "Completed")
    run = world.cluster.objects["EvalRun", NAMESPACE, status(world)["evalRunRef"]["name"]]
    revision = next(r["name"] for r in world.status()["revisions"])
    assert run["spec"]["subject"]["modelDeploymentRef"] == {"name": "chat", "revision": revision}
    assert run["metadata"]["ownerReferences"][0]["name"] == "tune"


async def test_a_job_that_waits_for_a_revision_to_evaluate_goes_after_its_time(world: Any) -> None:
    """One whose deployment never came stayed for ever: the wait for a verdict held its time up."""
    tune(world, evaluation=EVALUATION, ttlSecondsAfterFinished=30)
    await rounds(world, 20)
    assert condition(world, "Evaluated") == ("Unknown", "NoRevision")
    world.clock.advance(60)
    await rounds(world, 2)
    assert world.names("FinetuneJob") == []


async def test_a_job_that_is_measured_stays_for_its_verdict(world: Any) -> None:
    tune(world, evaluation=EVALUATION, ttlSecondsAfterFinished=300)
    deploy(world)
    while not world.names("EvalRun"):
        await world.round()
    world.clock.advance(600)
    await world.round()
    assert world.names("FinetuneJob") == ["tune"]
    await world.settle()
    assert world.names("FinetuneJob") == []


def test_a_pipeline_reaches_the_service_whole() -> None:
    models = [{"name": "writer", "modelDeploymentRef": {"name": "chat"}}]
    pipeline = DataPipeline.model_validate({**PIPELINE, "models": models})
    serving = Measured(name="chat-0123456789", digest=Digest(f"sha256:{'9' * 64}"))
    request = PipelineRequest(
        dispatch_id="d", namespace=NAMESPACE, name="tune", pipeline=pipeline, models={"writer": serving}
    )
    written = data.pipeline_spec(request)
    assert written == data_pb.PipelineSpec(
        name="tune",
        sources=[data_pb.Source(name="tickets", uri="file:///tickets.jsonl", id_field="id")],
        text_fields=["body"],
        steps=[
            data_pb.Step(name="deduplicate-exact"),
            data_pb.Step(name="length", parameters=json_format.ParseDict({"min_words": 4}, struct_pb2.Struct())),
        ],
        licence="CC0-1.0",
        models=[data_pb.Model(name="writer", deployment="default/chat", revision=serving.name, digest=serving.digest)],
    )


def test_the_spec_reaches_the_service_whole() -> None:
    spec = FinetuneJobSpec.model_validate(
        SPEC
        | {
            "method": {
                "type": "QLoRA",
                "lora": {"rank": 8, "alpha": 16, "dropout": "0.1", "targetModules": ["q_proj"]},
            },
            "checkpoint": {"uri": "file:///ckpt", "intervalSteps": 5, "resume": "Never"},
            "backoffLimit": 4,
            "preemptionLimit": 6,
        }
    )
    source = DataSource(uri="file:///data.jsonl", digest=f"sha256:{'d' * 64}")
    request = TrainingRequest(dispatch_id="uid-1-1", namespace=NAMESPACE, run="uid-1", spec=spec, data=source)
    assert finetuning.training_spec(request) == pb.TrainingSpec(
        run="uid-1",
        base=pb.BaseModel(uri=f"file:///model#sha256={'a' * 64}"),
        objective=pb.OBJECTIVE_SUPERVISED,
        adapter=pb.Adapter(rank=8, alpha=16, dropout=0.1, target_modules=["q_proj"], quantization=pb.QUANTIZATION_NF4),
        data=pb.TrainingData(
            uri="file:///data.jsonl", digest=f"sha256:{'d' * 64}", format=pb.RECORD_FORMAT_CHAT_ML, validation_split=0.1
        ),
        hyperparameters=pb.Hyperparameters(
            epochs=2, learning_rate=2e-3, batch_size=4, gradient_accumulation=1, max_sequence_length=2048, seed=7
        ),
        checkpoints=pb.CheckpointPolicy(uri="file:///ckpt", interval_steps=5, start_afresh=True),
        output_uri="file:///out",
        limits=pb.Limits(max_attempts=5, max_preemptions=6),
        priority=5,
        queue="finetuning",
    )


async def test_a_merge_needs_no_data(world: Any) -> None:
    models = [{"name": "a", "uri": "file:///a/"}, {"name": "b", "uri": "file:///b/", "weight": "0.3", "density": "0.5"}]
    merge = {key: value for key, value in SPEC.items() if key != "dataset"}
    merge["method"] = {"type": "Merge", "merge": {"type": "TIES", "models": models}}
    world.cluster.put_spec(objects.FINETUNE_JOB, "tune", merge)
    await world.settle()
    assert condition(world, "Succeeded") == ("True", "Completed")
    (request,) = world.finetuning.trainings.values()
    written = finetuning.training_spec(request)
    assert written.merge == pb.Merge(
        type=pb.MERGE_TYPE_TIES,
        models=[
            pb.MergedModel(model=pb.BaseModel(uri="file:///a/"), weight=1, density=1),
            pb.MergedModel(model=pb.BaseModel(uri="file:///b/"), weight=0.3, density=0.5),
        ],
    )
    assert not written.HasField("data")


def test_what_the_service_says_becomes_fields_of_the_status() -> None:
    training = pb.Training(
        dispatch_id="uid-1-1", state=pb.TRAINING_STATE_SUCCEEDED, step=40, total_steps=40, epoch=2.0, attempts=2,
        preemptions=1, checkpoint_step=40, notes=["2 records were too long."],
        metrics=[pb.TrainingMetric(name="train_loss", value=0.25, step=40)],
        artifact=pb.Artifact(
            uri="file:///out/b/", digest=f"sha256:{'b' * 64}", size_bytes=7, type=pb.ARTIFACT_TYPE_LORA_ADAPTER, rank=8
        ),
        provenance=pb.Provenance(
            base_model_digest=f"sha256:{'a' * 64}", dataset_digest=f"sha256:{'d' * 64}", spec_digest=f"sha256:{'e' * 64}",
            seed=7, code_version="0.1.0",
        ),
    )  # fmt: skip
    report = finetuning.report(training)
    read = FinetuneJobStatus.model_validate(report.results)
    assert report.state == "Succeeded"
    assert (read.attempts, read.preemptions) == (2, 1)
    assert read.progress is not None
    assert read.progress.percent == 100
    assert read.artifact is not None
    assert (read.artifact.type, read.artifact.rank) == ("LoRAAdapter", 8)
    assert read.provenance is not None
    assert read.provenance.base_model_digest == f"sha256:{'a' * 64}"
    assert read.notes == ("2 records were too long.",)


SECRET = {"credentialsSecretRef": {"name": "store"}}


async def test_the_keys_of_a_job_are_named_to_who_fetches_and_publishes(world: Any) -> None:
    tune(
        world,
        baseModel={"uri": "hf://org/model", **SECRET},
        dataset={"format": "ChatML", "uri": "s3://data/a.jsonl", **SECRET},
        output={"uri": "s3://out", **SECRET},
    )
    await world.settle()
    (request,) = world.finetuning.trainings.values()
    sent = finetuning.training_spec(request)
    store = pb.SecretReference(namespace=NAMESPACE, name="store")
    assert (sent.base.credentials, sent.data.credentials, sent.output_credentials) == (store, store, store)


def test_merged_models_are_fetched_with_the_keys_of_the_base() -> None:
    models = [{"name": "a", "uri": "s3://models/a/"}, {"name": "b", "uri": "file:///b"}]
    merge = {
        "baseModel": {"uri": "s3://models/base/", **SECRET},
        "method": {"type": "Merge", "merge": {"type": "Linear", "models": models}},
    }
    spec = FinetuneJobSpec.model_validate({"output": SPEC["output"], **merge})
    sent = finetuning.training_spec(TrainingRequest(dispatch_id="d", namespace="team-a", run="u", spec=spec, data=None))
    assert [each.model.HasField("credentials") for each in sent.merge.models] == [True, False]
    assert not sent.HasField("output_credentials")


@pytest.mark.parametrize(("output", "is_named"), [("s3://team-a/snapshots", True), (None, False)])
async def test_the_keys_of_a_pipeline_open_its_own_stores_and_not_the_platforms(
    world: Any, output: str | None, is_named: bool
) -> None:
    sources = [{"name": "own", "uri": "s3://raw/a.jsonl"}, {"name": "open", "uri": "https://example.org/b.jsonl"}]
    tune(world, dataset={"format": "ChatML", "pipeline": {**PIPELINE, "sources": sources, "output": output}, **SECRET})
    await world.settle()
    (asked,) = world.data.pipelines.values()
    written = data.pipeline_spec(asked)
    assert [each.HasField("credentials") for each in written.sources] == [True, False]
    assert written.HasField("output_credentials") is is_named
    (request,) = world.finetuning.trainings.values()
    assert bool(request.data.secret) is is_named

"""Trainings as Jobs of a cluster: taken over, taken away, cancelled, waited for; one trainer at a time on a workspace."""

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import touchstone_finetuning
import touchstone_runtime
from kubernetes.client import ApiClient, Configuration
from touchstone_finetuning import errors
from touchstone_finetuning.adapters.kubernetes_jobs import KubernetesJobs
from touchstone_finetuning.adapters.kubernetes_trainer import KubernetesTrainer, Patience
from touchstone_finetuning.core.progress import Progress, Stage
from touchstone_finetuning.core.recipe import Format, Hyperparameters, Method
from touchstone_finetuning.core.resources import Resources
from touchstone_finetuning.core.results import TrainingResult
from touchstone_finetuning.core.spec import Source, TrainingSpec
from touchstone_finetuning.service.conducting import Conductor
from touchstone_runtime.cluster.api import ClusterApi
from touchstone_runtime.jobs import Cancelled, ClaimLost, Preempted

pytestmark = pytest.mark.timeout(90)

Spec = Callable[..., TrainingSpec]


class Attempt:
    """One worker's attempt, in a thread."""

    def __init__(self, conductor: Conductor, spec: TrainingSpec) -> None:
        self.told: list[Progress] = []
        self.word: Exception | None = None
        self._pool = ThreadPoolExecutor(1)
        self.ended: Future[TrainingResult] = self._pool.submit(conductor.conduct, spec, self._tell)

    def _tell(self, progress: Progress) -> None:
        self.told.append(progress)
        if self.word:
            raise self.word

    def until(self, claim: Callable[[Progress], bool], seconds: float = 30) -> Progress:
        """Wait for a report."""
        deadline = time.monotonic() + seconds
        while True:
            if found := next((each for each in [*self.told] if claim(each)), None):
                return found
            if self.ended.done():
                self.ended.result()
            assert time.monotonic() < deadline, self.told[-1:]
            time.sleep(0.05)

    def result(self) -> TrainingResult:
        return self.ended.result(30)

    def say(self, word: Exception) -> None:
        """Have the next report raise, and wait until the attempt is over."""
        self.word = word
        with pytest.raises(type(word)):
            self.result()


def is_at(step: int) -> Callable[[Progress], bool]:
    return lambda progress: progress.step >= step


@pytest.fixture
def run(tmp_path: Path, spec: Spec) -> Spec:
    """Make the spec of a run of the test's own."""
    return lambda *script, **changes: spec(*script, **{"run": str(tmp_path)} | changes)


@pytest.fixture
def mine(cluster: Any, tmp_path: Path) -> Callable[[], list[Any]]:
    """Give the pods of the test's run."""
    return lambda: [pod for pod in cluster.pods() if str(tmp_path) in pod["spec"]["containers"][0]["args"][1]]


def job_name(pod: Any) -> str:
    name: str = pod["metadata"]["labels"]["batch.kubernetes.io/job-name"]
    return name


def test_a_training_is_a_job_and_comes_to_an_artefact(
    on_cluster: Conductor, run: Spec, mine: Any, cluster: Any
) -> None:
    attempt = Attempt(on_cluster, run("steps 3", resources=Resources(cpu="2", memory="1Gi")))
    assert attempt.result().artifact.rank == 4
    assert (attempt.told[-1].step, attempt.told[-1].metrics["train_loss"].step) == (3, 3)
    (pod,) = mine()
    job = cluster.api.job(job_name(pod))
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"] == {part: {"cpu": "2", "memory": "1Gi"} for part in ("requests", "limits")}
    assert (job["spec"]["backoffLimit"], job["status"]["succeeded"]) == (0, 1)


def test_a_worker_that_stops_leaves_its_trainer_to_the_next(
    on_cluster: Conductor, run: Spec, mine: Any, tmp_path: Path
) -> None:
    spec = run("steps 3", f"until {tmp_path}/go", "steps 5")
    first = Attempt(on_cluster, spec)
    first.until(is_at(3))
    first.say(Preempted())
    second = Attempt(on_cluster, spec)
    second.until(is_at(3))
    (tmp_path / "go").touch()
    second.result()
    assert len(mine()) == 1
    assert second.told[-1].notes == ("Begins at step 0.",)
    assert second.told[-1].step == 5


def test_a_worker_whose_claim_was_lost_leaves_the_trainer_alone(
    on_cluster: Conductor, run: Spec, mine: Any, tmp_path: Path
) -> None:
    spec = run("steps 3", f"until {tmp_path}/go", "steps 5")
    first = Attempt(on_cluster, spec)
    first.until(is_at(3))
    second = Attempt(on_cluster, spec)
    first.say(ClaimLost("uid", 1))
    second.until(is_at(3))
    (tmp_path / "go").touch()
    second.result()
    assert len(mine()) == 1


def test_a_job_of_another_recipe_is_gone_before_the_next_trainer_begins(
    on_cluster: Conductor, run: Spec, mine: Any
) -> None:
    script = ("steps 3", "wait", "steps 4")
    first = Attempt(on_cluster, run(*script))
    first.until(is_at(3))
    (old,) = mine()
    first.say(Preempted())
    second = Attempt(on_cluster, run(*script, hyperparameters=Hyperparameters(epochs=2)))
    assert "another trainer" in second.until(lambda each: "another" in each.waits_for).waits_for
    second.result()  # the scripted trainer ends with a fault where it is not alone
    assert old["metadata"]["uid"] not in {pod["metadata"]["uid"] for pod in mine()}
    assert second.told[-1].notes == ("Begins at step 3.",)


def test_a_cancelled_training_is_gone_within_seconds(
    on_cluster: Conductor, run: Spec, mine: Any, cluster: Any, until: Callable[..., None]
) -> None:
    attempt = Attempt(on_cluster, run("steps 3", "wait"))
    attempt.until(is_at(3))
    (pod,) = mine()
    attempt.say(Cancelled())
    until(lambda: not mine() and cluster.api.job(job_name(pod)) is None, "the end of the Job", 8)


def test_an_evicted_trainer_is_a_preemption_and_goes_on_from_its_checkpoint(
    on_cluster: Conductor, run: Spec, mine: Any, cluster: Any
) -> None:
    spec = run("steps 3", "wait", "steps 5")
    attempt = Attempt(on_cluster, spec)
    attempt.until(is_at(3))
    cluster.evict(mine()[0]["metadata"]["name"])
    with pytest.raises(Preempted):
        attempt.result()
    second = Attempt(on_cluster, spec)
    second.result()
    assert (second.told[-1].notes, second.told[-1].step) == (("Begins at step 3.",), 5)


def test_a_job_that_somebody_removed_is_tried_again_from_its_checkpoint(
    on_cluster: Conductor, run: Spec, mine: Any, cluster: Any
) -> None:
    spec = run("steps 3", "wait", "steps 5")
    attempt = Attempt(on_cluster, spec)
    attempt.until(is_at(3))
    cluster.remove_job(job_name(mine()[0]))
    with pytest.raises(errors.TrainerLost, match="removed its Job") as lost:
        attempt.result()
    assert lost.value.is_retryable
    second = Attempt(on_cluster, spec)
    second.result()
    assert second.told[-1].notes == ("Begins at step 3.",)


def test_a_failure_is_told_once_and_the_next_attempt_has_a_job_of_its_own(
    on_cluster: Conductor, run: Spec, mine: Any
) -> None:
    spec = run("steps 3", "die", "steps 5")
    with pytest.raises(errors.TrainerDied, match="killed by signal 9"):
        Attempt(on_cluster, spec).result()
    (first,) = mine()
    Attempt(on_cluster, spec).result()
    assert first["metadata"]["uid"] not in {pod["metadata"]["uid"] for pod in mine()}


def test_a_fault_keeps_its_reason(on_cluster: Conductor, run: Spec) -> None:
    with pytest.raises(errors.TrainerFaulted, match="So it is") as fault:
        Attempt(on_cluster, run("steps 1", "fault DatasetInvalid")).result()
    assert fault.value.reason == "DATASET_INVALID"


def test_a_trainer_that_nobody_tends_ends_by_itself_with_a_checkpoint(
    on_cluster: Conductor, run: Spec, mine: Any, until: Callable[..., None], template: Any, cluster: Any
) -> None:
    patience = Patience(pending=60, poll=0.1, leash=1.5)
    left = replace(on_cluster, trainer=KubernetesTrainer(lambda: cluster.api, template, patience=patience))
    spec = run("steps 3", "wait", "steps 5")
    attempt = Attempt(left, spec)
    attempt.until(is_at(3))
    attempt.say(Preempted())
    (pod,) = mine()
    until(lambda: mine()[0]["status"]["phase"] == "Failed", "the end of the trainer", 10)
    terminated = mine()[0]["status"]["containerStatuses"][0]["state"]["terminated"]
    assert terminated["exitCode"] == 75
    with pytest.raises(Preempted):
        Attempt(left, spec).result()
    Attempt(left, spec).result()
    assert pod["metadata"]["uid"] not in {each["metadata"]["uid"] for each in mine()}


@pytest.mark.parametrize("patience", [Patience(pending=3, poll=0.1)])
def test_what_cannot_start_says_what_it_waits_for_and_ends(
    on_cluster: Conductor, run: Spec, template: Any, cluster: Any, patience: Patience
) -> None:
    broken = json.loads(json.dumps(template))
    broken["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] = [{"name": "work", "mountPath": "/work"}]
    trainer = KubernetesTrainer(lambda: cluster.api, broken, patience=patience)
    attempt = Attempt(replace(on_cluster, trainer=trainer), run("steps 1"))
    with pytest.raises(errors.TrainerNotStarted, match="the volume at /work is not to be had") as raised:
        attempt.result()
    assert not raised.value.is_retryable
    seen = attempt.until(lambda each: "/work" in each.waits_for)
    assert (seen.stage, seen.waits_for.partition(":")[0]) == (Stage.WAITING, "its container")


def test_a_quota_is_waited_for_and_then_told(on_cluster: Conductor, run: Spec, template: Any) -> None:
    full = (
        'jobs.batch "training-1" is forbidden: exceeded quota: team, requested: count/jobs.batch=1, used: 5, limited: 5'
    )
    with refusing(403, full) as api:
        trainer = KubernetesTrainer(lambda: api, template, patience=Patience(pending=2, poll=0.1))
        attempt = Attempt(replace(on_cluster, trainer=trainer), run("steps 1"))
        with pytest.raises(errors.QuotaExceeded, match="limited: 5") as raised:
            attempt.result()
    assert raised.value.is_retryable
    assert "exceeded quota: team" in attempt.until(lambda each: "quota" in each.waits_for).waits_for


def test_a_missing_right_is_told_at_once(on_cluster: Conductor, run: Spec, template: Any) -> None:
    with refusing(403, "jobs.batch is forbidden: User cannot create resource") as api:
        trainer = KubernetesTrainer(lambda: api, template, patience=Patience(pending=60, poll=0.1))
        with pytest.raises(errors.ClusterRefused, match="cannot create resource") as raised:
            Attempt(replace(on_cluster, trainer=trainer), run("steps 1")).result()
    assert not raised.value.is_retryable


BASE = """
import sys
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
letters = ["<end>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
tokenizer = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(), decoders.ByteLevel()
PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>").save_pretrained(sys.argv[1])
LlamaForCausalLM(LlamaConfig(
    vocab_size=len(letters), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
    max_position_embeddings=128, tie_word_embeddings=True, bos_token_id=0, eos_token_id=0, pad_token_id=0,
)).save_pretrained(sys.argv[1])
"""
"""Writes a llama of some ten thousand random weights that reads bytes."""


@pytest.mark.timeout(600)
@pytest.mark.skipif("TOUCHSTONE_TRAINER_PYTHON" not in os.environ, reason="needs TOUCHSTONE_TRAINER_PYTHON")
def test_the_real_program_trains_as_a_job_and_is_taken_over(
    on_cluster: Conductor, run: Spec, mine: Any, cluster: Any, template: Any, tmp_path: Path
) -> None:
    python = os.environ["TOUCHSTONE_TRAINER_PYTHON"]
    subprocess.run([python, "-c", BASE, str(tmp_path / "tiny")], check=True)
    given = json.loads(json.dumps(template))
    container = given["spec"]["template"]["spec"]["containers"][0]
    sources = ":".join(str(Path(str(each.__file__)).parents[1]) for each in (touchstone_finetuning, touchstone_runtime))
    container |= {
        "command": [python, "-m", "touchstone_finetuning.training"],
        "env": [{"name": "PYTHONPATH", "value": sources}],
    }
    trainer = KubernetesTrainer(lambda: cluster.api, given, patience=Patience(pending=60, poll=0.5))
    conductor = replace(on_cluster, trainer=trainer)
    spec = run(
        base=Source(uri=f"file://{tmp_path}/tiny/"), method=Method.CONTINUED_PRETRAINING, format=Format.TEXT,
        adapter=None, interval_steps=10, resources=Resources(cpu="1"),
        hyperparameters=Hyperparameters(max_steps=400, epochs=1000, batch_size=2, max_sequence_length=64),
    )  # fmt: skip
    (tmp_path / "data.jsonl").write_text('{"text": "A touchstone tells gold from base metal."}\n' * 20)
    first = Attempt(conductor, spec)
    first.until(is_at(20), 300)
    first.say(Preempted())
    second = Attempt(conductor, spec)
    second.until(is_at(30), 60)
    assert second.ended.result(300).artifact.type == "Model"
    assert (second.told[-1].step, len(mine())) == (400, 1)
    assert "train_loss" in second.told[-1].metrics


@contextmanager
def refusing(code: int, message: str) -> Iterator[KubernetesJobs]:
    """Serve a Kubernetes API without objects that refuses to make any."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, {"items": []}) if self.path.count("/") < 7 else self._answer(404, {})

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(code, {"kind": "Status", "message": message})

        def _answer(self, status: int, body: object) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        configuration = Configuration()
        configuration.host = f"http://127.0.0.1:{server.server_port}"
        yield KubernetesJobs(ClusterApi(ApiClient(configuration=configuration)), "default")
        server.shutdown()
        thread.join()

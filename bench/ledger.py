"""`python bench/ledger.py [JOBS] [--broker rabbitmq]`: jobs under random kills, and what came of each.

A client hands jobs to a server, which records each, says so, and sends it; workers take them from the broker. All
three are killed with SIGKILL again and again, workers with the whole process group, and are started anew; so are
children that work for a worker. The broker is paused now and then, for longer than a claim lasts. The database itself
keeps the ledger, by a trigger that no process of ours knows of: a row each time that a job comes to an end. Told are
the acknowledged jobs without an end, those with more than one, those that two workers worked on at once, and what can
be said of the rates (rule of three).
"""

import argparse
import collections
import contextlib
import itertools
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import brokers
import psutil
from ledger_processes import CHILD, LEASE_SECONDS, POISON
from touchstone_runtime.jobs import JobStore

PROCESSES = Path(__file__).with_name("ledger_processes.py")
WORKERS = ("worker-0", "worker-1")
CHILD_SECONDS = 5.0
"""How long is waited for a child that can be killed."""
BROKERS = {"valkey": brokers.Valkey, "rabbitmq": brokers.RabbitMq}
TRIGGER = """
CREATE TABLE ledger (job TEXT, state TEXT);
CREATE TRIGGER kept AFTER UPDATE OF state ON jobs
WHEN NEW.state IN ('SUCCEEDED', 'FAILED', 'CANCELLED')
BEGIN INSERT INTO ledger VALUES (NEW.id, NEW.state); END;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to happen."""

    jobs: int = 5000
    poison_every: int = 100
    """Which of the jobs kill their worker."""
    child_every: int = 10
    """Which of the jobs work in a child process."""
    broker: str = "valkey"
    seed: int = 7
    hand_over_seconds: float = 0.0
    """The pause of the client before each job."""
    step_seconds: float = 0.1
    """The longest step of a job; it has two."""
    between_kills_seconds: tuple[float, float] = (0.5, 2.5)
    rounds: int | None = None
    """How often each is killed or paused before peace comes. None: until all jobs have ended."""
    limit_seconds: float = 1200.0

    @property
    def names(self) -> list[str]:
        """The jobs; the beginning of a name says what is special about it."""
        return [f"{self._kind(number)}-{number}" for number in range(self.jobs)]

    def _kind(self, number: int) -> str:
        if number % self.poison_every == self.poison_every - 1:
            return POISON
        return CHILD if number % self.child_every == 0 else "job"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What came of it."""

    acknowledged: int
    seconds: float
    kills: Mapping[str, int]
    begun_again: int
    """Jobs that were begun more than once."""
    faults: Mapping[str, int] = field(default_factory=dict)
    """How many of the acknowledged jobs met each fault."""


class Theatre:
    """The processes, and who of them dies next."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.database, self.log = folder / "jobs.sqlite", folder / "log"
        self.log.touch()
        url = f"sqlite:///{self.database}"
        JobStore(url).engine.dispose()
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            connection.executescript(TRIGGER)
        self.plan = plan
        self.chance = random.Random(plan.seed)
        self.broker: brokers.Broker = BROKERS[plan.broker]()
        own = [sys.executable, str(PROCESSES)]
        works = [*own, "work", url, self.broker.url, str(self.log), str(plan.step_seconds)]
        self.commands = {"server": [*own, "serve", url, self.broker.url], **dict.fromkeys(WORKERS, works)}
        self.ends: dict[int, float] = {}
        self.processes = {name: self.start(name) for name in self.commands}
        self.kills: collections.Counter[str] = collections.Counter()
        self.acknowledged: set[str] = set()

    def start(self, name: str) -> "subprocess.Popen[str]":
        """Start a process in a group of its own."""
        pipe = subprocess.PIPE if name == "server" else subprocess.DEVNULL
        process = subprocess.Popen(
            self.commands[name], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, start_new_session=True
        )
        threading.Thread(target=self.watch, args=(process,), daemon=True).start()
        return process

    def watch(self, process: "subprocess.Popen[str]") -> None:
        """Note when a process ends, by whomever: later, it would seem to work beside its successor."""
        process.wait()
        self.ends[process.pid] = time.monotonic()

    def kill(self, name: str) -> None:
        """Kill a process with its group."""
        process = self.processes[name]
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.kills[name.partition("-")[0]] += 1

    def kill_child(self) -> None:
        """Kill one of the processes that work for a worker, as soon as there is one."""
        deadline = time.monotonic() + CHILD_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(psutil.NoSuchProcess):
                children = [child for name in WORKERS for child in psutil.Process(self.processes[name].pid).children()]
                if children:
                    self.chance.choice(children).kill()
                    self.kills["child"] += 1
                    return
            time.sleep(0.01)

    def kill_broker(self) -> None:
        """Kill the broker and start it anew."""
        self.broker.kill()
        self.kills["broker"] += 1
        self.broker.start()

    def pause_broker(self) -> None:
        """Pause the broker for longer than a claim lasts without a heartbeat."""
        self.broker.pause()
        time.sleep(1.5 * LEASE_SECONDS)
        self.broker.resume()
        self.kills["pause"] += 1

    def act(self) -> Iterator[None]:
        """Do one harm after the other, each as often as any other."""
        acts = [self.kill_broker, self.pause_broker, self.kill_child]
        acts += [lambda name=name: self.kill(name) for name in self.commands]
        for _ in itertools.count() if self.plan.rounds is None else range(self.plan.rounds):
            for harm in self.chance.sample(acts, len(acts)):
                time.sleep(self.chance.uniform(*self.plan.between_kills_seconds))
                harm()
                yield

    def revive(self) -> None:
        """Start what is not there, as a supervisor does."""
        for name, process in list(self.processes.items()):
            if process.poll() is not None:
                _close(process)
                self.processes[name] = self.start(name)

    def hand_over(self) -> None:
        """Hand all jobs to the server; one that it did not acknowledge is handed over again."""
        for job in self.plan.names:
            time.sleep(self.plan.hand_over_seconds)
            while job not in self.acknowledged:
                server = self.processes["server"]
                with contextlib.suppress(ValueError, OSError):  # it was killed, or closed since
                    server.stdin.write(f"{job}\n")  # type: ignore[union-attr]
                    server.stdin.flush()  # type: ignore[union-attr]
                    if server.stdout.readline().strip() == job:  # type: ignore[union-attr]
                        self.acknowledged.add(job)
                        break
                time.sleep(0.05)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the database, from outside all processes."""
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30)) as connection:
            return connection.execute(query).fetchall()

    def close(self) -> None:
        """End all processes."""
        for name, process in self.processes.items():
            self.kill(name)
            _close(process)
        self.broker.close()


def play(plan: Plan) -> Account:
    """Do it all, until each job has come to an end or time is up."""
    with tempfile.TemporaryDirectory() as folder:
        theatre = Theatre(Path(folder), plan)
        begun = time.monotonic()
        client = threading.Thread(target=theatre.hand_over, daemon=True)
        client.start()
        peace = (time.sleep(0.2) for _ in itertools.count())
        try:
            for _ in itertools.chain(theatre.act(), peace):
                theatre.revive()
                is_done = not client.is_alive() and not theatre.rows("SELECT 1 FROM jobs WHERE finished_at IS NULL")
                if is_done or time.monotonic() - begun > plan.limit_seconds:
                    break
            kills = dict(theatre.kills)
        finally:
            theatre.close()
        return account(theatre, kills, time.monotonic() - begun)


def account(theatre: Theatre, kills: Mapping[str, int], seconds: float) -> Account:
    """Count what came of the jobs."""
    ends = collections.Counter(job for job, _ in theatre.rows("SELECT job, state FROM ledger"))
    states = dict(theatre.rows("SELECT id, state FROM jobs"))
    acknowledged = sorted(theatre.acknowledged)
    wanted = {job: "FAILED" if job.startswith(POISON) else "SUCCEEDED" for job in acknowledged}
    return Account(
        acknowledged=len(acknowledged),
        seconds=seconds,
        kills=kills,
        begun_again=len(theatre.rows("SELECT id FROM jobs WHERE attempts > 1")),
        faults={
            "without an end": sum(ends[job] == 0 for job in acknowledged),
            "with more than one": sum(ends[job] > 1 for job in acknowledged),
            "with a wrong end": sum(states.get(job) != end for job, end in wanted.items()),
            "worked on by two at once": overlaps(theatre),
        },
    )


def overlaps(theatre: Theatre) -> int:
    """Count the jobs that were worked on by two processes that were both alive."""
    spans: dict[tuple[str, str], list[float]] = {}
    for line in theatre.log.read_text().splitlines():
        what, job, token, pid, at = line.split()
        if what == "begin":
            spans[job, token] = [float(at), theatre.ends.get(int(pid), float("inf"))]
        else:
            spans[job, token][1] = float(at)
    by_job: dict[str, list[list[float]]] = collections.defaultdict(list)
    for (job, _), span in spans.items():
        by_job[job].append(span)
    found = 0
    for each in by_job.values():
        each.sort()
        found += any(later[0] < earlier[1] for earlier, later in itertools.pairwise(each))
    return found


def _close(process: "subprocess.Popen[str]") -> None:
    """Close the pipes of a process that has ended."""
    for pipe in (process.stdin, process.stdout):
        if pipe:
            with contextlib.suppress(OSError):
                pipe.close()


def main() -> None:
    """Print the account; exit with 1 if a job met a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jobs", nargs="?", type=int, default=Plan().jobs)
    parser.add_argument("--broker", choices=BROKERS, default="valkey", help="rabbitmq: Debian's rabbitmq-server")
    parser.add_argument("--seed", type=int, default=Plan().seed)
    arguments = parser.parse_args()
    told = play(Plan(jobs=arguments.jobs, broker=arguments.broker, seed=arguments.seed))
    print(f"{told.acknowledged} jobs acknowledged in {told.seconds:.0f} s, {dict(told.kills)} killed or paused")
    print(f"begun more than once: {told.begun_again}")
    for name, found in told.faults.items():
        bound = f"; below {3 / told.acknowledged:.2%} of jobs (95 %)" if not found else ""
        print(f"{name}: {found}{bound}")
    if any(told.faults.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()

"""`python bench/ledger.py [JOBS]`: jobs whose workers, broker and server are killed at random, and what came of each.

A client hands jobs to a server, which records each, says so, and sends it; workers take them from the broker. All
three are killed with SIGKILL again and again, workers with the whole process group, and are started anew; the broker
keeps nothing over its end, and is paused now and then. The database itself keeps the ledger, by a trigger that no
process of ours knows of: a row each time that a job comes to an end. Told are the acknowledged jobs without an end,
those with more than one, those that two workers worked on at once, and what can be said of the rates (rule of three).
"""

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
from pathlib import Path
from typing import Any

import scenery
from touchstone_runtime import celery_app
from touchstone_runtime.jobs import Claim, Dispatcher, JobStore, Report

KIND, QUEUE = "ledger", "ledger"
LEASE_SECONDS = 2.0
WORKERS, THREADS = 2, 4
POISON_EVERY = 2500
MAX_ATTEMPTS = 20
"""More than jobs need elsewhere: who dies here takes all four jobs of its worker along, every few seconds."""
LIMIT_SECONDS = 1200
TRIGGER = """
CREATE TABLE ledger (job TEXT, state TEXT);
CREATE TRIGGER kept AFTER UPDATE OF state ON jobs
WHEN NEW.state IN ('SUCCEEDED', 'FAILED', 'CANCELLED')
BEGIN INSERT INTO ledger VALUES (NEW.id, NEW.state); END;
"""


def serve(database: str, broker: str) -> None:
    """Record each job whose id comes in by a line, send it, and say so; send again what is overdue."""
    store = JobStore(database, lease_seconds=LEASE_SECONDS)
    app = celery_app.create_app(KIND, broker_url=broker, queue=QUEUE)
    dispatcher = Dispatcher(store, lambda job: celery_app.send(app, KIND, job.id, priority=job.priority))

    def repair() -> None:
        while True:
            dispatcher.resend_overdue(KIND)
            time.sleep(0.5)

    threading.Thread(target=repair, daemon=True).start()
    for line in sys.stdin:
        job = store.create(line.strip(), KIND, {})
        print(job.id, flush=True)
        dispatcher.send(job)


def work(database: str, broker: str, log: str) -> None:
    """Work on jobs until killed; those that are poison kill their worker."""
    store = JobStore(database, lease_seconds=LEASE_SECONDS)

    def one(claim: Claim, report: Report) -> Mapping[str, Any]:
        note("begin", claim)
        if claim.job.id.startswith("poison"):
            os.kill(os.getpid(), signal.SIGKILL)
        for step in range(2):
            time.sleep(random.uniform(0, 0.1))
            report({"step": step})
        note("end", claim)
        return {"token": claim.token}

    def note(what: str, claim: Claim) -> None:
        with Path(log).open("a") as file:
            file.write(f"{what} {claim.job.id} {claim.token} {os.getpid()} {time.monotonic()}\n")

    worker = celery_app.Worker(celery_app.create_app(KIND, broker_url=broker, queue=QUEUE), lambda: store)
    worker.register(KIND, one, max_attempts=MAX_ATTEMPTS)
    worker.run(concurrency=THREADS)


class Theatre:
    """The processes, and who of them dies next."""

    def __init__(self, folder: Path) -> None:
        port = scenery.free_port()
        self.database, self.log = folder / "jobs.sqlite", folder / "log"
        self.log.touch()
        url, broker = f"sqlite:///{self.database}", f"redis://127.0.0.1:{port}/0"
        JobStore(url)
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            connection.executescript(TRIGGER)
        own = [sys.executable, __file__]
        self.commands = {
            "broker": scenery.valkey(port, folder),
            "server": [*own, "serve", url, broker],
            **{f"worker-{number}": [*own, "work", url, broker, str(self.log)] for number in range(WORKERS)},
        }
        self.processes = {name: self.start(name) for name in self.commands}
        self.ends: dict[int, float] = {}
        self.kills: collections.Counter[str] = collections.Counter()
        self.acknowledged: set[str] = set()

    def start(self, name: str) -> "subprocess.Popen[str]":
        """Start a process in a group of its own."""
        pipe = subprocess.PIPE if name == "server" else subprocess.DEVNULL
        return subprocess.Popen(
            self.commands[name], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, start_new_session=True
        )

    def kill(self, name: str) -> None:
        """Kill a process with its group."""
        process = self.processes[name]
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.ends[process.pid] = time.monotonic()
        self.kills[name.partition("-")[0]] += 1

    def revive(self) -> None:
        """Start what is not there, as a supervisor does."""
        for name, process in list(self.processes.items()):
            if process.poll() is not None:
                self.ends.setdefault(process.pid, time.monotonic())
                self.processes[name] = self.start(name)

    def hand_over(self, wanted: Iterator[str]) -> None:
        """Hand jobs to the server until there are none; one that it did not acknowledge is handed over again."""
        for job in wanted:
            while job not in self.acknowledged:
                server = self.processes["server"]
                try:
                    server.stdin.write(f"{job}\n")  # type: ignore[union-attr]
                    server.stdin.flush()  # type: ignore[union-attr]
                    if server.stdout.readline().strip() == job:  # type: ignore[union-attr]
                        self.acknowledged.add(job)
                except (BrokenPipeError, ValueError, OSError):
                    pass
                if job not in self.acknowledged:
                    time.sleep(0.05)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the database, from outside all processes."""
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30)) as connection:
            return connection.execute(query).fetchall()


def main(count: int) -> None:
    """Run it all, and print the account."""
    chance = random.Random(7)
    jobs = [f"poison-{n}" if n % POISON_EVERY == POISON_EVERY - 1 else f"job-{n}" for n in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        theatre = Theatre(Path(folder))
        begun = time.monotonic()
        client = threading.Thread(target=theatre.hand_over, args=(iter(jobs),), daemon=True)
        client.start()
        try:
            while client.is_alive() or theatre.rows("SELECT 1 FROM jobs WHERE finished_at IS NULL LIMIT 1"):
                if time.monotonic() - begun > LIMIT_SECONDS:
                    break
                time.sleep(chance.uniform(0.5, 2.5))
                victim = chance.choice(
                    ["broker", "server", *(name for name in theatre.commands if name.startswith("worker"))]
                )
                if victim == "broker" and chance.random() < 0.5:
                    theatre.processes["broker"].send_signal(signal.SIGSTOP)
                    time.sleep(1.5 * LEASE_SECONDS)  # longer than a claim lasts without a heartbeat
                    theatre.processes["broker"].send_signal(signal.SIGCONT)
                    theatre.kills["pause"] += 1
                elif chance.random() < 0.5:
                    theatre.kill(victim)
                theatre.revive()
        finally:
            for name in theatre.commands:
                theatre.kill(name)
        tell(theatre, time.monotonic() - begun)


def tell(theatre: Theatre, seconds: float) -> None:
    """Print what came of the jobs."""
    ends = collections.Counter(job for job, _ in theatre.rows("SELECT job, state FROM ledger"))
    states = dict(theatre.rows("SELECT id, state FROM jobs"))
    attempts = dict(theatre.rows("SELECT id, attempts FROM jobs"))
    acknowledged = sorted(theatre.acknowledged)
    wanted = {job: "FAILED" if job.startswith("poison") else "SUCCEEDED" for job in acknowledged}
    print(f"{len(acknowledged)} jobs acknowledged in {seconds:.0f} s, {dict(theatre.kills)} killed or paused")
    print(f"begun more than once: {sum(count > 1 for count in attempts.values())}")
    faults = {
        "without an end": sum(ends[job] == 0 for job in acknowledged),
        "with more than one": sum(ends[job] > 1 for job in acknowledged),
        "with a wrong end": sum(states.get(job) != end for job, end in wanted.items()),
        "worked on by two at once": overlaps(theatre),
    }
    for name, found in faults.items():
        bound = f"; below {3 / len(acknowledged):.2%} of jobs (95 %)" if not found else ""
        print(f"{name}: {found}{bound}")
    if any(faults.values()):
        raise SystemExit(1)


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


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", database, broker]:
            serve(database, broker)
        case ["work", database, broker, log]:
            work(database, broker, log)
        case arguments:
            main(int(arguments[0]) if arguments else 5000)

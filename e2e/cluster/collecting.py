"""Gathering all that explains a failure into one folder."""

import shutil
import subprocess
from pathlib import Path

import places

QUESTIONS = {
    "objects.txt": ["get", "all,pvc,pv,configmaps,networkpolicies,touchstone", "-A", "-o", "wide"],
    "events.txt": ["get", "events", "-A", "--sort-by=.lastTimestamp"],
    "pods.txt": ["describe", "pods", "-A"],
    "nodes.txt": ["describe", "nodes"],
    "touchstone.yaml": ["get", "touchstone", "-A", "-o", "yaml"],
}


def collect(kubectl: list[str], folder: Path) -> None:
    """Write logs, events and descriptions.

    Args:
        kubectl: The command, with what points it to the cluster.
        folder: Where to; created if missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for file, question in QUESTIONS.items():
        (folder / file).write_text(_said([*kubectl, *question]))
    pods = _said([*kubectl, "get", "pods", "-A", "--no-headers", "-o",
                  "custom-columns=:metadata.namespace,:metadata.name"])  # fmt: skip
    for line in pods.splitlines():
        namespace, _, name = " ".join(line.split()).partition(" ")
        for suffix, options in (("", []), (".previous", ["--previous"])):
            logs = _said([*kubectl, "logs", "-n", namespace, name, "--all-containers", "--prefix", *options])
            (folder / f"{namespace}_{name}{suffix}.log").write_text(logs)
    if places.LOGS.exists():
        for log in places.LOGS.glob("*.log"):
            shutil.copy(log, folder / f"node_{log.name}")


def _said(command: list[str]) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return ended.stdout + ended.stderr

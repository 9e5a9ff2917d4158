"""Fetching one commit of a git repository by the git program, without its history."""

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

from touchstone_retrieval import errors

_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ALLOW_PROTOCOL": "https:http:file",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "LC_ALL": "C",
}
_NEVER = ("not found", "does not exist", "couldn't find remote ref", "not our ref", "does not appear to be a git")
"""What git says when another try would fail as well."""


class Checkout(NamedTuple):
    """A commit on this machine."""

    folder: Path
    commit: str


def checkout(url: str, ref: str, folder: Path, *, source: str, timeout_seconds: float) -> Checkout:
    """Fetch a commit.

    Args:
        url: The repository's address without `git+`.
        ref: Branch, tag or commit; empty: the default branch.
        folder: An existing empty folder.
        source: The source's name, for errors.
        timeout_seconds: For each call of git.

    Raises:
        SourceInvalid: There is no such repository or ref.
        SourceUnreachable: It could not be fetched now.
    """

    def git(*arguments: str) -> str:
        command = ["git", "-c", "core.hooksPath=/dev/null", "-c", "core.symlinks=false", "-C", str(folder), *arguments]
        environment = {**_ENVIRONMENT, "PATH": os.defpath, "HOME": str(folder)}
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=timeout_seconds, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise errors.SourceUnreachable(source, f"git took longer than {timeout_seconds:g} s") from error
        except FileNotFoundError as error:
            raise errors.SourceInvalid(source, "git is not installed where the worker runs. Install it.") from error
        if done.returncode:
            raise _failure(source, done.stderr)
        return done.stdout.strip()

    git("init", "-q")
    git("fetch", "-q", "--depth=1", "--no-tags", "--", url, ref or "HEAD")
    git("checkout", "-q", "--detach", "FETCH_HEAD")
    return Checkout(folder, git("rev-parse", "HEAD"))


def _failure(source: str, output: str) -> errors.SourceInvalid | errors.SourceUnreachable:
    lines = [line for line in output.splitlines() if line.startswith(("fatal:", "error:", "remote:"))]
    cause = (lines[-1] if lines else output.strip())[:300] or "git failed and said nothing"
    if any(words in output.lower() for words in _NEVER):
        return errors.SourceInvalid(source, f"{cause}. Check uri and ref.")
    return errors.SourceUnreachable(source, cause)

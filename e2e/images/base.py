"""A base image by debootstrap, for machines that can reach Debian's packages but no image registry."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from running import run, step

NAME = "localhost/touchstone/base:bookworm"
PACKAGES = "python3,ca-certificates"
NOT_NEEDED = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
    "usr/share/lintian",
    "usr/lib/x86_64-linux-gnu/gconv",
    "var/lib/apt/lists",
    "var/cache",
    "var/log",
)
"""What only people at a terminal read, and what apt fetches again."""


def ensure() -> str:
    """Make the image if it is not there, and return its name."""
    if not subprocess.run(["buildah", "inspect", "--type", "image", NAME], capture_output=True, check=False).returncode:
        return NAME
    with step("Making a base image by debootstrap"), tempfile.TemporaryDirectory() as place:
        root = Path(place) / "root"
        run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(root))
        for path in NOT_NEEDED:
            shutil.rmtree(root / path, ignore_errors=True)
        (root / "var/cache/apt/archives/partial").mkdir(parents=True)
        (root / "var/lib/apt/lists/partial").mkdir(parents=True)
        (root / "var/log").mkdir(exist_ok=True)
        (root / "usr/bin/python").symlink_to("python3")
        container = run("buildah", "from", "scratch").strip()
        run("buildah", "add", "--quiet", container, str(root), "/")
        run("buildah", "commit", "--quiet", container, NAME)
        run("buildah", "rm", container)
    return NAME

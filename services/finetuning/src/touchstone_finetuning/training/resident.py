"""How much memory this process has had."""

from pathlib import Path

STATUS = Path("/proc/self/status")


def peak_bytes() -> int:
    """Measure the most that was resident.

    Not by getrusage: a program that a large process starts begins there with the peak of that one.
    """
    lines = STATUS.read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))

"""Accelerators by what bounds inference on them: arithmetic, memory, links. Pure.

Peaks are the makers' figures for dense arithmetic (sparsity would double them, and no engine here uses it).
"""

from dataclasses import dataclass
from enum import StrEnum


class Precision(StrEnum):
    """The width of numbers, stored or computed with."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    """Or bfloat16: no chip here tells them apart."""
    FLOAT8 = "float8"
    INT8 = "int8"
    INT4 = "int4"
    """For weights only: products are computed in 16 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """One accelerator."""

    name: str
    """As it is asked for: `h100-sxm`."""
    device_name: str
    """How its driver's name for it begins."""
    peak_flops: dict[Precision, float]
    """FLOP/s by precision, dense."""
    bandwidth: float
    """Of its memory, in bytes a second."""
    memory_bytes: int
    link_bandwidth: float
    """To its neighbours, in bytes a second and direction."""
    source: str
    """Where the figures are from."""

    def peak(self, precision: Precision) -> float:
        """FLOP/s in a precision; a chip without it computes in 16 bits instead."""
        return self.peak_flops.get(precision, self.peak_flops[Precision.FLOAT16])


def _chip(
    name: str,
    device_name: str,
    teraflops: tuple[float, float, float],
    gigabytes_a_second: float,
    gigabytes: int,
    link_gigabytes_a_second: float,
    source: str,
) -> Chip:
    peaks = zip((Precision.FLOAT16, Precision.FLOAT8, Precision.INT8), teraflops, strict=True)
    return Chip(
        name=name,
        device_name=device_name,
        peak_flops={precision: peak * 1e12 for precision, peak in peaks if peak},
        bandwidth=gigabytes_a_second * 1e9,
        memory_bytes=gigabytes * 10**9,
        link_bandwidth=link_gigabytes_a_second * 1e9,
        source=source,
    )


CHIPS = {
    chip.name: chip
    for chip in (
        # name, device, TFLOP/s (16 bits, FP8, INT8), memory GB/s, GB, link GB/s a direction, source
        _chip("t4", "Tesla T4", (65, 0, 130), 320, 16, 16, "NVIDIA T4 datasheet, 2019"),
        _chip("a10", "NVIDIA A10", (125, 0, 250), 600, 24, 32, "NVIDIA A10 datasheet, 2021"),
        _chip("l4", "NVIDIA L4", (121, 242.5, 242.5), 300, 24, 32, "NVIDIA L4 datasheet, 2023"),
        _chip("l40s", "NVIDIA L40S", (362, 733, 733), 864, 48, 32, "NVIDIA L40S datasheet, 2023"),
        _chip("a100-40gb", "NVIDIA A100-SXM4-40GB", (312, 0, 624), 1555, 40, 300, "NVIDIA A100 datasheet, 2021"),
        _chip("a100-80gb", "NVIDIA A100-SXM4-80GB", (312, 0, 624), 2039, 80, 300, "NVIDIA A100 datasheet, 2021"),
        _chip("h100-pcie", "NVIDIA H100 PCIe", (756, 1513, 1513), 2000, 80, 64, "NVIDIA H100 datasheet, 2022"),
        _chip("h100-sxm", "NVIDIA H100", (989, 1979, 1979), 3350, 80, 450, "NVIDIA H100 datasheet, 2023"),
        _chip("h200", "NVIDIA H200", (989, 1979, 1979), 4800, 141, 450, "NVIDIA H200 datasheet, 2024"),
        _chip("b200", "NVIDIA B200", (2250, 4500, 4500), 8000, 180, 900, "NVIDIA HGX B200 datasheet, 2024"),
        _chip("mi300x", "AMD Instinct MI300X", (1307, 2615, 2615), 5300, 192, 448, "AMD MI300X datasheet, 2023"),
    )
}


def of_device(device_name: str) -> Chip | None:
    """Find the chip that a driver names; None for one that is not in the table.

    The longest beginning wins: `NVIDIA H100 PCIe` is not `NVIDIA H100 80GB HBM3`.
    """
    found = [chip for chip in CHIPS.values() if f"{device_name} ".startswith(f"{chip.device_name} ")]
    return max(found, key=lambda chip: len(chip.device_name), default=None)

"""What engines say of themselves, put together over the engines of a revision. Pure."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Transfer(NamedTuple):
    """What has moved between prefill and decode, as one engine counts it since it started."""

    connector: str = ""
    """Empty: it computes all prompts itself."""
    remote_prompts: int = 0
    failed_prompts: int = 0
    transfers: int = 0
    transferred_bytes: int = 0
    transferred_tokens: int = 0
    failed_transfers: int = 0


class Reached(NamedTuple):
    """How much of its chip's peaks one engine reaches, 0 to 1."""

    chip: str
    mfu: float
    mbu: float


class Report(NamedTuple):
    """What one engine says."""

    transfer: Transfer = Transfer()
    reached: Reached | None = None
    """None: its chip or its work are not known."""
    peak_output_tokens_per_second: float = 0.0
    """0: not measured."""
    active_requests: int = 0
    queued_requests: int = 0


class TransferTotal(NamedTuple):
    """What the engines of a revision count."""

    engines: int
    engines_without_connector: int
    sums: Transfer


def transfers(reports: Sequence[Report]) -> TransferTotal:
    """Add up what has moved."""
    found = [report.transfer for report in reports]
    sums = Transfer("", *(sum(column) for column in zip(*(each[1:] for each in found), strict=True)))
    return TransferTotal(len(found), sum(not each.connector for each in found), sums)


class Utilization(NamedTuple):
    """What the engines of a revision reach."""

    engines: int
    measured_engines: int
    chip: str
    mfu: float
    """Mean of the measured engines."""
    mbu: float
    peak_output_tokens_per_second: float
    active_requests: int
    queued_requests: int


def utilization(reports: Sequence[Report]) -> Utilization:
    """Put together what is reached: engines of a revision have chips of one kind, so their shares may be averaged."""
    reached = [report.reached for report in reports if report.reached is not None]
    return Utilization(
        engines=len(reports),
        measured_engines=len(reached),
        chip=reached[0].chip if reached else "",
        mfu=_mean(each.mfu for each in reached),
        mbu=_mean(each.mbu for each in reached),
        peak_output_tokens_per_second=sum(report.peak_output_tokens_per_second for report in reports),
        active_requests=sum(report.active_requests for report in reports),
        queued_requests=sum(report.queued_requests for report in reports),
    )


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else 0.0

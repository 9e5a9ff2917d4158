"""Whether prefill and decode really are apart: the proof is in two counts that know nothing of each other. Pure.

The decode engines count the prompts that they had computed elsewhere, the connector counts what came. A deployment
whose prompts are sent and whose blocks never come computes everything twice, and answers as if all were well.
"""

from collections.abc import Iterator

from touchstone_operator.plan import conditions
from touchstone_operator.plan.conditions import Observation
from touchstone_operator.ports import Moved

CONDITION = "KVTransferHealthy"
ENOUGH_PROMPTS = 5
"""Fewer prompts that were sent prove nothing."""
MOST_ERRORS = 0.1
"""The share of transfers or prompts that may fail."""


def observe(moved: Moved | None) -> Observation:
    """Judge what has moved; None means that nobody could be asked."""
    if moved is None or moved.engines == 0:
        return conditions.unknown(CONDITION, "NotObserved", "No engine has told what it counts.")
    told = (
        f"{moved.remote_prompts} prompts were computed by prefill engines; {moved.transfers} transfers brought "
        f"{moved.transferred_bytes} bytes for {moved.transferred_tokens} tokens."
    )
    for reason, fault in _faults(moved):
        return conditions.fails(CONDITION, reason, f"{fault} {told}")
    if moved.remote_prompts < ENOUGH_PROMPTS:
        return conditions.unknown(CONDITION, "FewPrompts", told)
    return conditions.holds(CONDITION, "BlocksMove", told)


def _faults(moved: Moved) -> Iterator[tuple[str, str]]:
    """Name what is wrong, the gravest first: a reason and a sentence."""
    if moved.engines_without_connector:
        which = f"{moved.engines_without_connector} of {moved.engines} engines"
        yield "NoConnector", f"{which} have no connector: they compute all prompts."
    if _share(moved.failed_prompts, moved.remote_prompts) > MOST_ERRORS:
        yield "PrefillErrors", f"{moved.failed_prompts} prompts failed."
    if _share(moved.failed_transfers, moved.transfers) > MOST_ERRORS:
        yield "TransferErrors", f"{moved.failed_transfers} transfers failed."
    if moved.remote_prompts >= ENOUGH_PROMPTS and not moved.transferred_tokens:
        yield "NoTransfersObserved", "Prompts are computed twice."


def _share(failed: int, fine: int) -> float:
    """Tell which share failed, once there is enough to tell."""
    return failed / (failed + fine) if failed + fine >= ENOUGH_PROMPTS else 0.0

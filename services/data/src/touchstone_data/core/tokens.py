"""How long records are for a model, in tokens. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from touchstone_data.core.profiling import QUANTILES

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Tokens of some records, or of some turns."""

    number: int
    """How many records or turns."""
    total: int
    quantiles: Mapping[str, float]
    """By `q0.50`."""
    above: float
    """Share with more than the trainer reads; 0 where that is not known."""
    counts: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenProfile:
    """Tokens of a sample of records."""

    max_sequence_length: int
    """What a trainer reads of a record; 0: not known."""
    splits: Mapping[str, Tokens]
    """Of whole records, as the model reads them."""
    roles: Mapping[str, Tokens]
    """Of what is said in a turn, by who says it, without what the chat template puts round it."""


def profile(counts: Counts, splits: Sequence[str], roles: Mapping[str, Counts], limit: int) -> TokenProfile:
    """Profile tokens.

    Args:
        counts: Tokens of each record; [records].
        splits: What each record is for; [records].
        roles: Tokens of each turn by who speaks.
        limit: Tokens that a trainer reads of a record; 0: not known.
    """
    names = np.array(splits)
    return TokenProfile(
        max_sequence_length=limit,
        splits={split: _tokens(counts[names == split], limit) for split in sorted(set(splits))},
        roles={role: _tokens(found, limit) for role, found in sorted(roles.items())},
    )


def _tokens(counts: Counts, limit: int) -> Tokens:
    spread = np.quantile(counts, QUANTILES) if len(counts) else np.zeros(len(QUANTILES))
    return Tokens(
        number=len(counts),
        total=int(counts.sum()),
        quantiles={f"q{q:.2f}": float(value) for q, value in zip(QUANTILES, spread, strict=True)},
        above=float((counts > limit).mean()) if limit and len(counts) else 0.0,
        counts=counts.tolist(),
    )

"""Kubernetes quantities: `500m`, `2Gi`. Pure."""

import math
from decimal import Decimal, InvalidOperation

_SUFFIXES = {
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", start=1)},
    **{letter: Decimal(1000) ** power for power, letter in enumerate(("k", "M", "G", "T", "P", "E"), start=1)},
    "m": Decimal("0.001"),
    "u": Decimal("0.000001"),
    "n": Decimal("0.000000001"),
}


def parse(text: str) -> Decimal | None:
    """Return the number that a quantity stands for, or None if it is none."""
    suffix = next((each for each in _SUFFIXES if text.endswith(each)), "")
    try:
        return Decimal(text.removesuffix(suffix)) * _SUFFIXES.get(suffix, Decimal(1))
    except InvalidOperation:
        return None


def in_units(text: str, divisor: str) -> str:
    """Return a quantity in units of a divisor, rounded up, as the downward API gives it."""
    amount, unit = parse(text), parse(divisor if divisor not in ("", "0") else "1")
    if amount is None or not unit:
        return ""
    return str(math.ceil(amount / unit))

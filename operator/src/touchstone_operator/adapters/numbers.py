"""Numbers, times and enumerations between protos and resources. Pure."""

from datetime import UTC
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from touchstone_operator.plan import times


def decimal(value: float) -> str:
    """Write a number as the API holds decimals: six significant places, no exponent for ordinary sizes."""
    text = f"{value:.6g}"
    return "0" if text in ("-0", "nan", "inf", "-inf") else text.replace("e+", "e")


def time(stamp: Timestamp) -> str:
    """Write a timestamp as the API holds times."""
    return times.write(stamp.ToDatetime(UTC))


def camel(enumeration: Any, number: int, prefix: str) -> str:
    """Write an enumeration's value as the API does: VERDICT_PASSED is Passed; the unspecified one is empty."""
    name = enumeration.Name(number).removeprefix(prefix)
    return "" if name == "UNSPECIFIED" else "".join(word.capitalize() for word in name.split("_"))

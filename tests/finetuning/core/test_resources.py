"""Quantities against Kubernetes' own notation."""

from decimal import Decimal

import pytest
from touchstone_finetuning.core import resources


@pytest.mark.parametrize(
    ("text", "number"),
    [("4", "4"), ("500m", "0.5"), ("1.5", "1.5"), ("128k", "128000"), ("2Ki", "2048"), ("16Gi", "17179869184")],
)
def test_quantities_are_read_as_kubernetes_writes_them(text: str, number: str) -> None:
    assert resources.quantity(text) == Decimal(number)


@pytest.mark.parametrize("text", ["", "four", "1GiB", "-1", "1 Gi", "1e3"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no quantity"):
        resources.quantity(text)


def test_a_part_of_a_core_is_one_thread() -> None:
    assert resources.Resources(cpu="250m").threads == 1
    assert resources.Resources().threads == 0

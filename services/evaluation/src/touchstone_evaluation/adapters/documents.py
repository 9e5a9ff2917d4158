"""Domain values as JSON documents and back, by cattrs."""

from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

import cattrs
from cattrs.preconf.json import make_converter

from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.spec import Suite

T = TypeVar("T")


def write(value: object) -> Any:
    """Write a value as what JSON can hold."""
    return _converter().unstructure(value)


def read(document: Any, kind: type[T]) -> T:
    """Read a value that `write` wrote."""
    return _converter().structure(document, kind)


@cache
def _converter() -> cattrs.Converter:
    converter = make_converter()
    # JSON within the domain's values is its own document.
    own = cattrs.gen.override(struct_hook=lambda value, _: value, unstruct_hook=lambda value: value)
    as_is: Mapping[type, tuple[str, ...]] = {Suite: ("parameters",), Item: ("metadata", "checks")}
    for kind, names in as_is.items():
        hooks: Any = dict.fromkeys(names, own)
        converter.register_structure_hook(kind, cattrs.gen.make_dict_structure_fn(kind, converter, **hooks))
        converter.register_unstructure_hook(kind, cattrs.gen.make_dict_unstructure_fn(kind, converter, **hooks))
    return converter

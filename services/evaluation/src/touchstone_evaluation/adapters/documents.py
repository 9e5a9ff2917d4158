"""Domain values as JSON documents and back, by cattrs."""

from functools import cache
from typing import Any, TypeVar

import cattrs
from cattrs.preconf.json import make_converter

from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.results import Conclusion, Interval
from touchstone_evaluation.core.spec import RunSpec, Suite

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
    # JSON within the domain's values (parameters, metadata, checks) is its own document.
    own = cattrs.gen.override(struct_hook=lambda value, _: value, unstruct_hook=lambda value: value)
    for kind, names in ((Suite, ("parameters",)), (Item, ("metadata", "checks"))):
        as_is: Any = dict.fromkeys(names, own)
        hook = cattrs.gen.make_dict_structure_fn(kind, converter, **as_is)
        unhook = cattrs.gen.make_dict_unstructure_fn(kind, converter, **as_is)
        converter.register_structure_hook(kind, hook)
        converter.register_unstructure_hook(kind, unhook)
    return converter


__all__ = ["Conclusion", "Interval", "RunSpec", "read", "write"]

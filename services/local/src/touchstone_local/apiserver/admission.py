"""Bringing an object into its kind's form and refusing what does not fit: pruning, defaults, schema, rules."""

from collections.abc import Iterator, Mapping

from touchstone_local.apiserver import errors
from touchstone_local.apiserver.builtins.behaviours import PLAIN, Behaviour
from touchstone_local.apiserver.core import faults, metadata, options, rules, shaping, validating
from touchstone_local.apiserver.core.faults import Fault
from touchstone_local.apiserver.core.kinds import Kind
from touchstone_local.apiserver.core.objects import JsonObject
from touchstone_local.apiserver.core.options import Warnings, WriteOptions
from touchstone_local.apiserver.core.rules import Judge


class Admission:
    """The gate that every object passes before it is stored."""

    def __init__(self, behaviours: Mapping[str, Behaviour], judge: Judge) -> None:
        self._behaviours = behaviours
        self._judge = judge

    def behaviour(self, kind: Kind) -> Behaviour:
        """Return the rules of a kind beyond its schema."""
        return self._behaviours.get(kind.storage, PLAIN)

    def admit(
        self, kind: Kind, obj: JsonObject, live: JsonObject | None, options: WriteOptions, warnings: Warnings
    ) -> None:
        """Bring an object into form, in place.

        Raises:
            BadRequest: It holds unknown or repeated fields and the options say Strict.
            Invalid: It is against the rules of its kind.
        """
        unknown = shaping.prune(obj, kind.schema)
        self.report_fields(kind, unknown, options, warnings)
        shaping.drop_nulls(obj, kind.schema)
        behaviour = self.behaviour(kind)
        behaviour.prepare(obj, live)
        shaping.apply_defaults(obj, kind.schema)
        found = list(validating.validate(obj, kind.schema)) or list(self._meaning(kind, behaviour, obj, live))
        faults.raise_if_any(found, kind=kind.kind, group=kind.group, name=obj["metadata"].get("name", ""))
        behaviour.finish(obj, live)

    def report_fields(self, kind: Kind, unknown: list[str], asked: WriteOptions, warnings: Warnings) -> None:
        """Refuse unknown and repeated fields, or warn of them, as asked.

        Raises:
            BadRequest: There are some and the options say Strict.
        """
        if asked.field_validation == options.IGNORE:
            return
        texts = [f'duplicate field "{field}"' for field in asked.repeated_fields]
        texts += [f'unknown field "{field}"' for field in unknown]
        if texts and asked.field_validation == options.STRICT:
            raise errors.BadRequest(
                f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: '
                f"strict decoding error: {', '.join(texts)}"
            )
        for text in texts:
            warnings.add(text)

    def _meaning(self, kind: Kind, behaviour: Behaviour, obj: JsonObject, live: JsonObject | None) -> Iterator[Fault]:
        yield from metadata.validate(obj["metadata"], name_rule=kind.name_rule)
        yield from behaviour.validate(obj, live)
        yield from rules.check(obj, live, kind.schema, self._judge)


def check_metadata(obj: JsonObject, kind: Kind) -> None:
    """Refuse metadata of the wrong types before anything reads it.

    Raises:
        BadRequest: It has some.
    """
    found = obj.get("metadata")
    if found is None:
        obj["metadata"] = {}
        return
    fault = next(validating.validate(found, metadata.METADATA, field="metadata"), None)
    if fault is not None:
        raise errors.BadRequest(
            f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {fault.field}: {fault.body}'
        )

"""Annotation queues: what people are asked to label, how, and what a label must be. Pure.

A queue never changes: its guideline and its labels are those that every annotation of it was made by.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema
import rfc8785
from touchstone_runtime import revisions
from touchstone_runtime.errors import Violation
from touchstone_runtime.revisions import Digest

from touchstone_data.core import similarity
from touchstone_data.core.agreement import MAX_ANNOTATORS
from touchstone_data.core.records import Json

DEFAULT_ANNOTATORS = 3
DEFAULT_LEASE_SECONDS = 900
MIN_LEASE, MAX_LEASE = 30, 86_400
MAX_GUIDELINE_BYTES = 256 * 1024
MAX_SCHEMA_BYTES = 64 * 1024
MAX_LABEL_BYTES = 8 * 1024
MAX_CHOICES, MAX_CHOICE_CHARACTERS = 100, 128
MAX_REASON_CHARACTERS = 1000
MAX_ITEMS = 20_000
MAX_ITEM_BYTES = 1024 * 1024
TOO_LARGE = "larger than 1 MiB"

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSpec:
    """What annotators do."""

    name: str
    guideline: str
    choices: tuple[str, ...] = ()
    """Labels to choose from; empty where `json_schema` is set."""
    json_schema: str = ""
    """JSON Schema of labels that are JSON objects."""
    annotators_per_item: int = DEFAULT_ANNOTATORS
    overlap: float = 1.0
    """Share of items that so many annotate; one annotates the others."""
    min_alpha: float | None = None
    """Below it the queue is not exported."""
    lease_seconds: int = DEFAULT_LEASE_SECONDS

    @property
    def guideline_digest(self) -> Digest:
        """Digest of the guideline."""
        return revisions.digest_bytes(self.guideline.encode())

    def wanted(self, item_id: str) -> int:
        """Say how many people annotate an item: a hash of its id decides."""
        drawn = similarity.number(f"{self.name}/overlap/{item_id}") / 2.0**64
        return self.annotators_per_item if drawn < self.overlap else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Something to annotate."""

    id: str
    fields: Mapping[str, Json]
    lineage: Mapping[str, str]
    """Where it comes from: `feedback_id`, `revision_digest`, `source_digest`; empty where it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """One person's label of one item."""

    item_id: str
    annotator: str
    label: str
    """One of the choices, or a JSON object in its canonical form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a queue is."""

    items: int
    complete: int
    annotations: int
    claimed: int
    skipped: int
    annotators: int


def spec_faults(spec: QueueSpec) -> Iterator[Violation]:
    """Check a specification; every fault is told."""
    yield from name_faults(spec.name, "spec.name")
    if not 0 < len(spec.guideline.encode()) <= MAX_GUIDELINE_BYTES:
        yield Violation("spec.guideline", f"Must be 1 to {MAX_GUIDELINE_BYTES} bytes.")
    if bool(spec.choices) == bool(spec.json_schema):
        yield Violation("spec", "Must have choices or json_schema, and not both.")
    elif spec.choices:
        yield from _choices_faults(spec)
    else:
        yield from _schema_faults(spec.json_schema)
    if not 1 <= spec.annotators_per_item <= MAX_ANNOTATORS:
        yield Violation("spec.annotators_per_item", f"Must be 1 to {MAX_ANNOTATORS}, or 0 for {DEFAULT_ANNOTATORS}.")
    if not 0 <= spec.overlap <= 1:
        yield Violation("spec.overlap", "Must be 0 to 1.")
    if spec.min_alpha is not None and not -1 <= spec.min_alpha <= 1:
        yield Violation("spec.min_alpha", "Must be at most 1, and not below -1.")
    if not MIN_LEASE <= spec.lease_seconds <= MAX_LEASE:
        yield Violation("spec.lease_seconds", f"Must be {MIN_LEASE} to {MAX_LEASE}, or 0 for {DEFAULT_LEASE_SECONDS}.")


def name_faults(name: str, path: str) -> Iterator[Violation]:
    """Check the name of a queue."""
    if not _NAME.fullmatch(name):
        yield Violation(path, "Must be lower-case letters, digits and dashes, at most 63.")


def label_faults(spec: QueueSpec, label: str) -> Iterator[Violation]:
    """Check a label; of a JSON object each fault is told at its place."""
    if spec.choices:
        if label not in spec.choices:
            yield Violation("label", f"Must be one of {', '.join(spec.choices)}.")
        return
    if len(label.encode()) > MAX_LABEL_BYTES:
        yield Violation("label", f"Must be at most {MAX_LABEL_BYTES} bytes.")
        return
    try:
        given = json.loads(label, parse_constant=_refuse)
        rfc8785.dumps(given)
    except (ValueError, RecursionError) as error:
        yield Violation("label", f"Must be a JSON object: {error}.")
        return
    if not isinstance(given, dict):
        yield Violation("label", "Must be a JSON object.")
        return
    validator = jsonschema.Draft202012Validator(json.loads(spec.json_schema))
    for fault in sorted(validator.iter_errors(given), key=lambda fault: fault.json_path):
        yield Violation(f"label{fault.json_path.removeprefix('$')}", f"{fault.message}.")


def canonical(spec: QueueSpec, label: str) -> str:
    """Write a label so that equal ones are equal texts."""
    return label if spec.choices else rfc8785.dumps(json.loads(label)).decode()


def parsed(spec: QueueSpec, label: str) -> Json:
    """Read a label as records hold it."""
    found: Json = label if spec.choices else json.loads(label)
    return found


def record(spec: QueueSpec, item: Item, annotations: list[Annotation]) -> Mapping[str, Json]:
    """Write an item with its annotations, as the steps `agreement` and `adjudicate` read them."""
    given = [
        {"annotator": one.annotator, "label": parsed(spec, one.label)}
        for one in sorted(annotations, key=lambda one: one.annotator)
    ]
    lineage = {**item.lineage, "queue": spec.name, "guideline_digest": spec.guideline_digest}
    return {**item.fields, "id": item.id, "annotations": given, "lineage": lineage}


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON value")


def _choices_faults(spec: QueueSpec) -> Iterator[Violation]:
    if not 2 <= len(spec.choices) <= MAX_CHOICES or len(set(spec.choices)) != len(spec.choices):
        yield Violation("spec.choices", f"Must be 2 to {MAX_CHOICES} labels, each once.")
    for place, choice in enumerate(spec.choices):
        if not 0 < len(choice) <= MAX_CHOICE_CHARACTERS or not choice.isprintable() or choice != choice.strip():
            yield Violation(
                f"spec.choices[{place}]", f"Must be 1 to {MAX_CHOICE_CHARACTERS} characters without spaces at the ends."
            )


def _schema_faults(text: str) -> Iterator[Violation]:
    if len(text.encode()) > MAX_SCHEMA_BYTES:
        yield Violation("spec.json_schema", f"Must be at most {MAX_SCHEMA_BYTES} bytes.")
        return
    try:
        schema = json.loads(text)
        jsonschema.Draft202012Validator.check_schema(schema)
    except (ValueError, RecursionError) as error:
        yield Violation("spec.json_schema", f"Must be a JSON document: {error}.")
        return
    except jsonschema.SchemaError as error:
        yield Violation("spec.json_schema", f"Is no JSON Schema: {error.message}.")
        return
    if not isinstance(schema, dict) or schema.get("type") != "object" or not schema.get("properties"):
        yield Violation("spec.json_schema", "Must be of type `object` and have `properties`.")
    elif "$ref" in text:
        yield Violation("spec.json_schema", "Must not hold `$ref`: nothing is fetched to check a label.")

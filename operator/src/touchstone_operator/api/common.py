"""What the kinds share: names, bounded strings, references, conditions, object metadata.

Types here are the single source of the CRDs: `touchstone_operator.crds` turns them into structural schemas. Every
string and list is bounded, because the API server prices CEL rules by their worst case.
"""

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema
from pydantic.alias_generators import to_camel
from touchstone_runtime.cluster.references import TAKERS

GROUP = "touchstone.dev"
VERSION = "v1alpha1"
DEFINITIONS_VERSION = 1
"""Counts changes of the CustomResourceDefinitions; an operator refuses older ones than its own."""
API_VERSION = f"{GROUP}/{VERSION}"

CelRule = tuple[str, str]
"""A CEL rule and the message that says the fix."""


def rules(*pairs: CelRule) -> dict[str, Any]:
    """Write CEL rules as the schema extension that carries them."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in pairs]}


REPOSITORY = "^(hf://[^/@#]+/[^/@#]+)(/|#|$)"
"""An address of the hub that names no commit; its first group is the repository."""
COMMIT_RULE: CelRule = (
    (
        "!has(self.revision) || !has(self.uri) || self.revision.matches('^sha256:[0-9a-f]{64}$') || "
        f"(self.revision.matches('^[0-9A-Za-z._-]+$') && self.uri.matches('{REPOSITORY}'))"
    ),
    "revision must be a digest, sha256:HEX, or a commit of an hf:// address that names none itself",
)
"""A revision that would be dropped is refused: only repositories have commits."""
SECRET_RULE: CelRule = (
    f"!has(self.credentialsSecretRef) || !has(self.uri) || self.uri.matches('^({'|'.join(TAKERS)})://')",
    f"remove credentialsSecretRef: only {', '.join(f'{scheme}://' for scheme in TAKERS)} take the keys of a Secret",
)
"""A Secret that nobody would read is refused."""


def unchanging(kind: str, *, required: Iterable[str], optional: Iterable[str]) -> tuple[CelRule, ...]:
    """Write the rules that keep fields of a spec as they were made; `optional` ones may be unset, and then stay so."""
    advice = f"cannot be changed: make a new {kind}"
    always = ((f"self.{name} == oldSelf.{name}", f"{name} {advice}") for name in required)
    perhaps = (
        (
            f"has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || self.{name} == oldSelf.{name})",
            f"{name} {advice}",
        )
        for name in optional
    )
    return (*always, *perhaps)


class ApiModel(BaseModel):
    """A part of a resource: immutable, camelCase in JSON, documented by its attributes' docstrings."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
    )

    def dump(self) -> dict[str, Any]:
        """Write the part as JSON holds it: camelCase, nothing that is unset."""
        return self.model_dump(by_alias=True, exclude_none=True, mode="json")


def text(max_length: int, *, pattern: str | None = None, min_length: int | None = None) -> Any:
    """Bound a string."""
    return StringConstraints(max_length=max_length, pattern=pattern, min_length=min_length)


Name = Annotated[str, text(63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
"""A DNS label."""
ObjectName = Annotated[str, text(253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
"""The name of another object in the same namespace."""
Text = Annotated[str, text(1024)]
Uri = Annotated[str, text(2048, min_length=1)]
DigestString = Annotated[str, text(71, pattern=r"^sha256:[0-9a-f]{64}$")]
"""`sha256:` and 64 lower-case hexadecimal digits."""
Decimal = Annotated[str, text(32, pattern=r"^-?[0-9]+(\.[0-9]+)?([eE]-?[0-9]+)?$")]
"""A decimal number as a string: the API has no floats."""
Timestamp = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
"""RFC 3339, UTC."""
RevisionName = Annotated[str, text(63)]
"""The name of a revision."""
Percent = Annotated[int, Field(ge=0, le=100)]
Seconds = Annotated[int, Field(ge=0, le=31_536_000)]
Labels = Annotated[dict[str, Annotated[str, text(253)]], Field(max_length=32)]
OpenObject = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True})]
"""An object whose fields belong to somebody else's schema."""


class ObjectReference(ApiModel):
    """A reference to an object in the same namespace."""

    name: ObjectName
    """name of the object."""


class KeyReference(ApiModel):
    """A reference to a key of a ConfigMap or Secret in the same namespace."""

    name: ObjectName
    """name of the object."""
    key: Annotated[str, text(253, pattern=r"^[-._a-zA-Z0-9]+$")]
    """key within it."""


class Condition(ApiModel):
    """One observation about the object, as metav1.Condition."""

    type: Annotated[str, text(316)]
    """type is what is observed."""
    status: Literal["True", "False", "Unknown"]
    """status says whether it holds."""
    reason: Annotated[str, text(1024, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")]
    """reason is one word in UpperCamelCase."""
    message: Annotated[str, text(32768)] = ""
    """message is for people."""
    last_transition_time: Timestamp
    """lastTransitionTime is when status last changed."""
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """observedGeneration is the generation that was observed."""


Conditions = Annotated[
    tuple[Condition, ...],
    Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
]


def keyed(max_length: int, key: str = "name") -> Any:
    """Bound a list whose items are told apart by a key: appliers own items, not the list."""
    extra: dict[str, Any] = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}
    return Field(max_length=max_length, json_schema_extra=extra)


class OwnerReference(ApiModel):
    """Who owns an object."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool = False
    block_owner_deletion: bool = False


class Metadata(ApiModel):
    """The part of metav1.ObjectMeta that the operator reads."""

    name: str
    namespace: str = "default"
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    finalizers: tuple[str, ...] = ()
    owner_references: tuple[OwnerReference, ...] = ()


class Column(ApiModel):
    """A printer column."""

    name: str
    type: Literal["string", "integer", "date"] = "string"
    json_path: str = Field(alias="jsonPath")
    description: str = ""
    priority: int = 0


class Resource(ApiModel):
    """A kind: its names, columns and rules are class attributes that the CRD generator reads."""

    kind_name: ClassVar[str]
    plural: ClassVar[str]
    short_name: ClassVar[str]
    columns: ClassVar[tuple[Column, ...]]
    object_rules: ClassVar[tuple[CelRule, ...]] = ()
    """Rules on the whole object: they may read metadata.name."""

    metadata: Metadata

    @classmethod
    def read(cls, obj: dict[str, Any]) -> Self:
        """Read an object as the API server sent it, defaults filled in.

        Raises:
            pydantic.ValidationError: The object breaks the schema.
        """
        return cls.model_validate(obj)


READY_COLUMN = Column(
    name="Ready", jsonPath='.status.conditions[?(@.type=="Ready")].status', description="Whether it serves."
)
REASON_COLUMN = Column(
    name="Reason", jsonPath='.status.conditions[?(@.type=="Ready")].reason', description="Why it does or does not."
)
AGE_COLUMN = Column(name="Age", type="date", jsonPath=".metadata.creationTimestamp")

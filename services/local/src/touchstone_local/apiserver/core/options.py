"""What a request asks for beside its object. Pure."""

from dataclasses import dataclass, field

STRICT, WARN, IGNORE = "Strict", "Warn", "Ignore"


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    """How to write."""

    manager: str = "unknown"
    """The field manager."""
    subresource: str = ""
    field_validation: str = WARN
    """What to do with unknown and repeated fields: Strict, Warn or Ignore."""
    repeated_fields: tuple[str, ...] = ()
    """Fields that the body held twice."""
    is_dry_run: bool = False
    is_forced: bool = False
    """Whether an apply takes fields from other managers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteOptions:
    """How to delete."""

    propagation: str = ""
    """Background, Foreground or Orphan; empty: the kind's default."""
    uid: str = ""
    """Delete only this incarnation."""
    version: str = ""
    """Delete only this resourceVersion."""
    grace_seconds: int | None = None
    is_dry_run: bool = False


@dataclass(slots=True, kw_only=True)
class Warnings:
    """Warnings for the client, collected along the way."""

    texts: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        """Add a warning once."""
        if text not in self.texts:
            self.texts.append(text)

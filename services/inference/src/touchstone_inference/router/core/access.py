"""Who asks. Pure: a token is told from its header, not checked here."""

from collections.abc import Mapping
from dataclasses import dataclass, field

AUTHORIZATION = "authorization"
_SCHEME = "bearer "


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A caller whose token was found good."""

    name: str
    """As Kubernetes calls it: `system:serviceaccount:NAMESPACE:NAME`."""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def bearer_token(headers: Mapping[str, str]) -> str:
    """Return the token of an Authorization header; empty when there is none of this kind."""
    value = headers.get(AUTHORIZATION, "")
    return value[len(_SCHEME) :].strip() if value.lower().startswith(_SCHEME) else ""

"""Which places of this machine an address may name: links and escapes count as what they lead to."""

from pathlib import Path

from touchstone_runtime.artefacts import uris
from touchstone_runtime.artefacts.faults import UriInvalid
from touchstone_runtime.artefacts.uris import Address


def path(uri: str, *roots: Path) -> Path:
    """Return the path of a `file://` address that lies below one of some folders.

    Args:
        uri: The address.
        roots: The folders, resolved.

    Raises:
        UriInvalid: It does not lie there, or is no address of a file.
    """
    address = uris.parse(uri)
    if address.scheme != "file":
        raise UriInvalid(uri, "must begin with file://")
    return _below(address, roots)


def check(uri: str, *roots: Path) -> None:
    """See that an address, if it is a `file://` one, lies below one of some folders.

    Args:
        uri: The address.
        roots: The folders, resolved.

    Raises:
        UriInvalid: It does not, or is no address.
    """
    address = uris.parse(uri)
    if address.scheme == "file":
        _below(address, roots)


def _below(address: Address, roots: tuple[Path, ...]) -> Path:
    found = Path(address.location).resolve()
    if not any(found.is_relative_to(root) for root in roots):
        raise UriInvalid(address.uri, f"must lie below {' or '.join(map(str, roots))}")
    return found

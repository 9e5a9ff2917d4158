"""Which places of this machine an address may name: links and escapes count as what they lead to."""

from pathlib import Path

from touchstone_runtime.artefacts import uris
from touchstone_runtime.artefacts.faults import UriInvalid
from touchstone_runtime.artefacts.uris import Address


def readable(file_root: Path, artefacts_uri: str) -> tuple[Path, ...]:
    """Return the folders that a service may read by `file://`: its root, and the artefact store if that is a folder.

    Args:
        file_root: Folder of what users name by `file://`.
        artefacts_uri: The store's address: what the platform made is named like any other file.
    """
    stores = (artefacts_uri.removeprefix("file://"),) if artefacts_uri.startswith("file://") else ()
    return (file_root.resolve(), *(Path(store).resolve() for store in stores))


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

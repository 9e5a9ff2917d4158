"""Which places of this machine an address may name."""

from pathlib import Path

from touchstone_runtime.artefacts import UriInvalid
from touchstone_runtime.artefacts.uris import parse


def check(uri: str, root: Path) -> None:
    """See that a `file://` address lies below a folder; links count as what they lead to.

    Raises:
        UriInvalid: It does not, or is no address.
    """
    address = parse(uri)
    if address.scheme == "file" and not Path(address.location).resolve().is_relative_to(root):
        raise UriInvalid(uri, f"must lie below {root}")

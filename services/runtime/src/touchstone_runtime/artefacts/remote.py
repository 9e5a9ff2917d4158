"""Object storage through fsspec: opened by its address, and its libraries' errors told alike."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import fsspec

from touchstone_runtime.artefacts import credentials
from touchstone_runtime.artefacts.faults import UriInvalid

EXTRAS = ("s3", "gs")
"""Schemes whose libraries are extras of this package, called alike."""


class Place(NamedTuple):
    """A folder or a file of a store."""

    filesystem: fsspec.AbstractFileSystem
    path: str
    """As the file system calls it: without the scheme."""


def place(uri: str, secret: Mapping[str, str] | None = None) -> Place:
    """Open the store of an address.

    Args:
        uri: `SCHEME://LOCATION`.
        secret: Keys of a Secret. None or empty: by the environment.

    Raises:
        UriInvalid: What its scheme needs is not installed, or it is no address.
        CredentialsUnusable: The Secret has not what the store needs.
        OSError: The library does not take the credentials.
    """
    options = credentials.storage_options(uri, secret or {})
    try:
        with os_errors():
            return Place(*fsspec.core.url_to_fs(uri, **options))
    except ImportError as error:
        scheme = uri.partition("://")[0]
        cause = f"needs the extra touchstone-runtime[{scheme}]" if scheme in EXTRAS else f"cannot be opened: {error}"
        raise UriInvalid(uri, cause) from error
    except ValueError as error:
        raise UriInvalid(uri, f"is not the address of a store: {error}") from error


@contextmanager
def os_errors() -> Iterator[None]:
    """Raise as an OSError what libraries of stores raise, as s3fs does of itself; gcsfs lets out more."""
    try:
        yield
    except _others() as error:
        raise OSError(str(error) or type(error).__name__) from error


def _others() -> tuple[type[Exception], ...]:
    """List what is no OSError. A library that was never loaded has raised nothing."""
    if "gcsfs" not in sys.modules:
        return ()
    from aiohttp import ClientError  # noqa: PLC0415 - an extra
    from gcsfs.retry import HttpError  # noqa: PLC0415
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415

    return (ClientError, GoogleAuthError, HttpError)

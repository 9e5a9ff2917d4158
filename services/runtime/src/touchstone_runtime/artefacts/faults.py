"""What can go wrong with an artefact."""

from touchstone_runtime import errors
from touchstone_runtime.errors import Violation


class ArtefactNotFound(errors.NotFound):
    """There is nothing at the address."""

    reason = "ARTEFACT_NOT_FOUND"

    def __init__(self, uri: str, cause: str = "there is nothing there") -> None:
        super().__init__(f"{uri} cannot be found: {cause}. Check the address.", metadata={"uri": uri})


class ArtefactCorrupt(errors.FailedPrecondition):
    """What was fetched does not have the digest that was asked for."""

    reason = "ARTEFACT_CORRUPT"

    def __init__(self, uri: str, expected: str, found: str) -> None:
        super().__init__(
            f"{uri} has the digest {found}; {expected} was expected. Correct the digest, or the source.",
            metadata={"uri": uri, "expected": expected, "found": found},
        )


class ArtefactUnavailable(errors.Unavailable):
    """The source did not answer; a later try may succeed."""

    reason = "ARTEFACT_UNAVAILABLE"

    def __init__(self, uri: str, cause: str) -> None:
        super().__init__(f"{uri} cannot be reached now: {cause}. Try again later.", metadata={"uri": uri})
        self.cause = cause
        """The source's own words."""


class UriInvalid(errors.Invalid):
    """The address cannot be read."""

    reason = "URI_INVALID"

    def __init__(self, uri: str, description: str) -> None:
        super().__init__([Violation("uri", f"{uri!r} {description}")], metadata={"uri": uri})


class CredentialsUnusable(errors.FailedPrecondition):
    """The credentials are not those that the source takes."""

    reason = "CREDENTIALS_UNUSABLE"

    def __init__(self, uri: str, advice: str) -> None:
        super().__init__(f"{uri} cannot be opened with these credentials. {advice}.", metadata={"uri": uri})


class ArtefactUnusable(errors.FailedPrecondition):
    """What lies at the address is nothing that can be read or written as an artefact."""

    reason = "ARTEFACT_UNUSABLE"

    def __init__(self, uri: str, cause: str, advice: str) -> None:
        super().__init__(f"{uri} cannot be used: {cause}. {advice}.", metadata={"uri": uri})

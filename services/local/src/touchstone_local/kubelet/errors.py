"""What can go wrong with a workload.

DomainError
├── FailedPrecondition: CannotStart (the container asks for what this machine cannot do)
└── Unavailable:        NotYet (what the container refers to does not exist yet)
"""

from touchstone_runtime import errors


class CannotStart(errors.FailedPrecondition):
    """The container cannot be run as it is written."""

    reason = "CANNOT_START"


class NotYet(errors.Unavailable):
    """Something that the container refers to is missing."""

    reason = "NOT_YET"

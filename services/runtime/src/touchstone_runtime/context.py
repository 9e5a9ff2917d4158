"""What belongs to the request being served: its id. Carried by context variables, so by tasks and threads."""

import re
import uuid
from contextvars import ContextVar

REQUEST_ID_HEADER = "x-request-id"
REVISION_HEADER = "x-touchstone-revision"

request_id: ContextVar[str] = ContextVar("touchstone_request_id", default="")
"""The id of the request being served; empty outside one."""

_SANE = re.compile(r"[!-~]{1,128}")


def accepted_request_id(offered: str) -> str:
    """Return the caller's id if it is 1 to 128 printable ASCII characters without blanks, else a new one."""
    return offered if _SANE.fullmatch(offered) else uuid.uuid4().hex

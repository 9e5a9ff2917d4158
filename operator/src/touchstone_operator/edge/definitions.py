"""The kinds must be installed, and be as new as this operator, before anything is watched."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from typing import Protocol

from touchstone_operator import errors, objects
from touchstone_operator.api.common import DEFINITIONS_VERSION, GROUP
from touchstone_operator.edge.routing import OWN_KINDS
from touchstone_operator.objects import JsonObject, Kind

RETRY_SECONDS = 2.0

logger = logging.getLogger(__name__)


class Definitions(Protocol):
    """What is needed of the cluster."""

    async def get(self, kind: Kind, namespace: str, name: str) -> JsonObject | None:
        """Read an object."""
        ...


async def wait(cluster: Definitions) -> None:
    """Wait until all kinds are installed and served.

    Raises:
        DefinitionsOutdated: One is older than this operator needs.
        DomainError: The cluster cannot be asked.
    """
    while missing := [name async for name in _missing(cluster, (kind.plural for kind in OWN_KINDS))]:
        logger.warning(
            "waiting for the kinds to be installed: install the chart touchstone-crds", extra={"missing": missing}
        )
        await asyncio.sleep(RETRY_SECONDS)


async def _missing(cluster: Definitions, plurals: Iterable[str]) -> AsyncIterator[str]:
    for plural in plurals:
        name = f"{plural}.{GROUP}"
        found = await cluster.get(objects.DEFINITION, "", name)
        if found is None or not _is_served(found):
            yield name
        elif (installed := _version(found)) < DEFINITIONS_VERSION:
            raise errors.DefinitionsOutdated(name, installed, DEFINITIONS_VERSION)


def _is_served(definition: JsonObject) -> bool:
    conditions = (definition.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)


def _version(definition: JsonObject) -> int:
    text = (definition["metadata"].get("annotations") or {}).get(objects.ANNOTATION_VERSION, "")
    return int(text) if text.isdigit() else 0

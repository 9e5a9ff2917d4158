"""The kinds that must be installed before the operator begins."""

import asyncio
from typing import Any

import pytest
from touchstone_operator import errors, objects
from touchstone_operator.api.common import DEFINITIONS_VERSION
from touchstone_operator.edge import definitions
from touchstone_operator.edge.routing import OWN_KINDS
from touchstone_operator.objects import JsonObject, Kind


class Installed:
    """Definitions by name."""

    def __init__(self, *, version: str = str(DEFINITIONS_VERSION), established: str = "True") -> None:
        self.asked = 0
        self.found: dict[str, Any] = {
            f"{kind.plural}.touchstone.dev": {
                "metadata": {"annotations": {objects.ANNOTATION_VERSION: version} if version else {}},
                "status": {"conditions": [{"type": "Established", "status": established}]},
            }
            for kind in OWN_KINDS
        }

    async def get(self, kind: Kind, namespace: str, name: str) -> JsonObject | None:
        self.asked += 1
        return self.found.get(name)


async def test_installed_kinds_let_the_operator_begin() -> None:
    await definitions.wait(Installed())


async def test_newer_kinds_are_good() -> None:
    await definitions.wait(Installed(version=str(DEFINITIONS_VERSION + 1)))


@pytest.mark.parametrize("version", ["", "0", "nonsense"])
async def test_older_kinds_are_refused_with_what_to_do(version: str) -> None:
    with pytest.raises(errors.DefinitionsOutdated, match="Upgrade the chart touchstone-crds"):
        await definitions.wait(Installed(version=version))


@pytest.mark.parametrize("absent", [True, False])
async def test_kinds_that_are_not_served_yet_are_waited_for(absent: bool) -> None:
    installed = Installed(established="True" if absent else "False")
    if absent:
        installed.found.clear()
    waiting = asyncio.create_task(definitions.wait(installed))
    while not installed.asked:
        await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

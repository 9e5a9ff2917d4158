"""Installs the custom resource definitions: `python -m touchstone_local.supervisor.crds`. Runs once, and ends."""

import asyncio
import logging
import time
from dataclasses import dataclass
from pathlib import Path

from touchstone_operator import crds
from touchstone_runtime import process, settings
from touchstone_runtime.settings import setting

from touchstone_local import fields
from touchstone_local.errors import DomainError, WaitExpired
from touchstone_local.kube.cluster import Cluster
from touchstone_local.kube.resources import CRDS
from touchstone_local.kube.waiting import condition_is, wait_for

PATIENCE_SECONDS = 60.0
RETRY_SECONDS = 0.2
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrdSettings:
    """Where to install them."""

    kubeconfig: Path = setting(env="KUBECONFIG")
    """How to reach the API server."""


async def main() -> None:
    """Apply each definition and wait until the server serves it."""
    kubeconfig = settings.load(CrdSettings).kubeconfig
    async with await Cluster.connect(kubeconfig) as cluster:
        for document in crds.documents():
            await _apply(cluster, document)
        for document in crds.documents():
            await wait_for(
                cluster,
                CRDS,
                name=fields.name(document),
                namespace="",
                claim=condition_is("Established"),
                timeout_seconds=PATIENCE_SECONDS,
                describe="condition Established",
            )
    _log.info("The custom resource definitions are served.")


async def _apply(cluster: Cluster, document: fields.Object) -> None:
    """Apply one definition; a server that has just started may need another moment."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            await cluster.apply(CRDS, document)
        except DomainError as error:
            if not error.is_retryable:
                raise
            if time.monotonic() >= give_up_at:
                raise WaitExpired(f"{error.message} Gave up after {PATIENCE_SECONDS:g} s.") from error
            await asyncio.sleep(RETRY_SECONDS)
        else:
            return


if __name__ == "__main__":
    process.run_main(main)

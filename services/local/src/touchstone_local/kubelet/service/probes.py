"""The probes of one running container."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime

from touchstone_local.fields import Object
from touchstone_local.kubelet.core import probing
from touchstone_local.kubelet.core.podstatus import Health
from touchstone_local.kubelet.core.probing import Probe, Purpose, Track
from touchstone_local.kubelet.ports import Prober

NEW = Health(is_started=False, is_ready=False)
"""What is known of a container that has just started."""


class ContainerProbes:
    """Sends a container's probes when they are due and keeps their verdicts. Forget it with the process."""

    def __init__(
        self,
        container: Object,
        *,
        ip: str,
        environ: Mapping[str, str],
        started_at: datetime,
        prober: Prober,
        changed: Callable[[], None],
        before: Health = NEW,
    ) -> None:
        found = {purpose: probing.parse(container, purpose) for purpose in Purpose}
        self._probes: dict[Purpose, Probe] = {purpose: probe for purpose, probe in found.items() if probe is not None}
        passed = {Purpose.STARTUP: before.is_started, Purpose.READINESS: before.is_ready, Purpose.LIVENESS: True}
        self._tracks: dict[Purpose, Track] = {
            purpose: probing.begin(probe, purpose, started_at=started_at, passed_before=passed[purpose])
            for purpose, probe in self._probes.items()
        }
        self._ip = ip
        self._environ = environ
        self._prober = prober
        self._changed = changed
        self._in_flight: set[Purpose] = set()

    @property
    def health(self) -> Health:
        """What the probes say; a container without a probe is taken as well."""
        started = self._passes(Purpose.STARTUP)
        return Health(is_started=started, is_ready=started and self._passes(Purpose.READINESS))

    @property
    def failed(self) -> Purpose | None:
        """The purpose whose probe has given the container up, if any has."""
        for purpose, probe in self._probes.items():
            if probing.has_given_up(self._tracks[purpose], probe, purpose):
                return purpose
        return None

    def launch_due(self, group: asyncio.TaskGroup, *, now: Callable[[], datetime]) -> datetime | None:
        """Start the probes that are due; return when the next one will be."""
        upcoming = []
        for purpose in self._asked():
            if purpose in self._in_flight:
                continue
            if self._tracks[purpose].due_at <= now():
                self._in_flight.add(purpose)
                group.create_task(self._send(purpose, now=now))
            else:
                upcoming.append(self._tracks[purpose].due_at)
        return min(upcoming, default=None)

    def _asked(self) -> list[Purpose]:
        if not self._passes(Purpose.STARTUP):
            return [Purpose.STARTUP]
        return [purpose for purpose in self._probes if purpose is not Purpose.STARTUP]

    async def _send(self, purpose: Purpose, *, now: Callable[[], datetime]) -> None:
        probe = self._probes[purpose]
        try:
            passed = await self._prober.probe(probe, ip=self._ip, environ=self._environ)
        finally:
            self._in_flight.discard(purpose)
        self._tracks[purpose] = probing.observe(self._tracks[purpose], probe, purpose, passed=passed, now=now())
        self._changed()

    def _passes(self, purpose: Purpose) -> bool:
        track = self._tracks.get(purpose)
        return track is None or track.passes

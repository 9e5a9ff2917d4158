"""What can be asked: models, their revisions, and how these have fared."""

import asyncio
import base64
import binascii
from bisect import bisect_right
from collections.abc import Callable
from typing import NamedTuple

from touchstone_runtime.errors import Invalid, Violation

from touchstone_inference import errors
from touchstone_inference.router.core import reports, validation
from touchstone_inference.router.core.metrics import Counters, RevisionMetrics
from touchstone_inference.router.core.view import Door, Model, Objective, Revision
from touchstone_inference.router.ports import CurrentView, Engines

ASK_SECONDS = 3.0
"""How long an engine may take to say what it counts."""


class Page(NamedTuple):
    """Some of the models, in the order of their names."""

    models: tuple[Model, ...]
    next_page_token: str
    """Empty on the last page."""


class Measured(NamedTuple):
    """How a revision has fared."""

    counters: Counters
    window_seconds: float
    """How long was looked at: what was asked for, or since this router began."""
    has_objective: bool
    """Whether the model has objectives, which requests were held to."""


class Catalogue:
    """Lists models and reads counters."""

    def __init__(
        self, view: CurrentView, metrics: RevisionMetrics, engines: Engines, *, clock: Callable[[], float]
    ) -> None:
        self._view = view
        self._engines = engines
        self._metrics = metrics
        self._clock = clock
        self._began = clock()

    def list_models(self, door: Door, *, page_size: int = 0, page_token: str = "") -> Page:
        """List the models behind a door after the one that the token names, which need not exist any more."""
        size = validation.page_size(page_size)
        models = self._view.current().models
        names = [name for name, model in models.items() if door in model.doors]
        start = bisect_right(names, _decode(page_token)) if page_token else 0
        page = names[start : start + size]
        has_more = start + size < len(names)
        return Page(tuple(models[name] for name in page), _encode(page[-1]) if has_more else "")

    def get_model(self, name: str, door: Door) -> Model:
        """Give one model. Raises ModelNotFound, ModelNotExposed."""
        model = self._find(name)
        model.enter(door)
        return model

    def revision_metrics(self, name: str, revision: str, *, window_seconds: int = 0) -> Measured:
        """Sum the counters of a revision, whichever doors are open. Raises ModelNotFound, RevisionNotFound."""
        window = validation.window_seconds(window_seconds)
        model, _ = self._revision(name, revision)
        now = self._clock()
        return Measured(
            counters=self._metrics.window(model.name, revision, window, now_seconds=now),
            window_seconds=min(float(window), now - self._began),
            has_objective=model.objective != Objective(),
        )

    async def transfers(self, name: str, revision: str) -> reports.TransferTotal:
        """Add up what has moved between the engines of a revision. Raises as `revision_metrics`."""
        return reports.transfers(await self._reports(name, revision))

    async def utilization(self, name: str, revision: str) -> reports.Utilization:
        """Put together what the engines of a revision reach. Raises as `revision_metrics`."""
        return reports.utilization(await self._reports(name, revision))

    async def _reports(self, name: str, revision: str) -> list[reports.Report]:
        """Ask the engines of a revision; those that do not answer are left out."""
        _, found = self._revision(name, revision)
        engines = [self._engines.at(found, endpoint) for endpoint in found.endpoints]
        asked = (engine.report(timeout_seconds=ASK_SECONDS) for engine in engines)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        return [answer for answer in answers if not isinstance(answer, BaseException)]

    def _revision(self, name: str, revision: str) -> tuple[Model, Revision]:
        model = self._find(name)
        if revision not in model.revisions:
            raise errors.RevisionNotFound(model.name, revision)
        return model, model.revisions[revision]

    def _find(self, name: str) -> Model:
        validation.check_name(name)
        return self._view.current().find(name)


def _encode(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _decode(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise Invalid([Violation("page_token", "must be next_page_token of the page before, unchanged")]) from None

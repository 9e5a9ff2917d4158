"""Steps with their parameters, ready to work: made once in a process and used by all its threads."""

import threading
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeVar

import orjson
from touchstone_runtime.errors import DomainError

from touchstone_data import errors
from touchstone_data.core.generation import GenerationWork
from touchstone_data.core.spec import PipelineSpec
from touchstone_data.core.steps import CorpusWork, Parameters, RecordWork, Step, Surroundings, Tools

CAPACITY = 32

W = TypeVar("W")


class Maker:
    """Makes the work of steps."""

    def __init__(self, steps: Mapping[str, Step], tools: Tools) -> None:
        self._steps = steps
        self._tools = tools
        self._making = threading.Lock()
        self._record_work = lru_cache(maxsize=CAPACITY)(self._make_record_work)
        self._corpus_work = lru_cache(maxsize=CAPACITY)(self._make_corpus_work)
        self._generation_work = lru_cache(maxsize=CAPACITY)(self._make_generation_work)

    def record_work(self, spec: PipelineSpec, place: int) -> RecordWork:
        """Make what the step at a place does with a record. Raises StepFailed."""
        with self._making:
            return self._record_work(*_key(spec, place))

    def corpus_work(self, spec: PipelineSpec, place: int) -> CorpusWork:
        """Make what the step at a place does with all records. Raises StepFailed."""
        with self._making:
            return self._corpus_work(*_key(spec, place))

    def makes_records(self, spec: PipelineSpec, place: int) -> bool:
        """Whether the step at a place makes records of records."""
        return self._steps[spec.steps[place].name].by_generation is not None

    def generation_work(self, spec: PipelineSpec, place: int) -> GenerationWork:
        """Make what the step at a place makes of a shard. Raises StepFailed."""
        with self._making:
            return self._generation_work(*_key(spec, place))

    def _make_record_work(self, name: str, parameters: bytes, text_fields: tuple[str, ...]) -> RecordWork:
        step = self._steps[name]
        if step.by_record is None:
            raise errors.StepFailed(name, "it does not work on single records")
        return self._made(step, step.by_record, parameters, text_fields)

    def _make_corpus_work(self, name: str, parameters: bytes, text_fields: tuple[str, ...]) -> CorpusWork:
        step = self._steps[name]
        if step.by_corpus is None:
            raise errors.StepFailed(name, "it does not work on all records")
        return self._made(step, step.by_corpus, parameters, text_fields)

    def _make_generation_work(self, name: str, parameters: bytes, text_fields: tuple[str, ...]) -> GenerationWork:
        step = self._steps[name]
        if step.by_generation is None:
            raise errors.StepFailed(name, "it does not make records")
        return self._made(step, step.by_generation, parameters, text_fields)

    def _made(
        self, step: Step, make: Callable[[Parameters, Surroundings], W], parameters: bytes, text_fields: tuple[str, ...]
    ) -> W:
        try:
            return make(step.filled(orjson.loads(parameters)), Surroundings(text_fields=text_fields, tools=self._tools))
        except DomainError as error:
            if error.is_retryable:
                raise
            raise errors.StepFailed(step.name, error.message) from error
        except ValueError as error:
            raise errors.StepFailed(step.name, str(error)) from error


def _key(spec: PipelineSpec, place: int) -> tuple[str, bytes, tuple[str, ...]]:
    use = spec.steps[place]
    return use.name, orjson.dumps(dict(use.parameters), option=orjson.OPT_SORT_KEYS), spec.text_fields

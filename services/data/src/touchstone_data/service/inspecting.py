"""The report of a snapshot: what the records were like, what they are like now, and what is held against them.

It looks at a sample: a record is in it by the hash of its id, so the same records are seen before and after.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

import orjson

from touchstone_data import errors
from touchstone_data.core import coverage, pillars, profiling, similarity, tokens, vectors
from touchstone_data.core.inspection import Cluster, Diversity, Inspection, Spot
from touchstone_data.core.manifest import Snapshot
from touchstone_data.core.pillars import Sample
from touchstone_data.core.profiling import Profile
from touchstone_data.core.records import Json, Record, text_of
from touchstone_data.core.similarity import Banding
from touchstone_data.core.spec import PipelineSpec
from touchstone_data.core.tokens import TokenProfile
from touchstone_data.ports import Detectors, Reporter, SnapshotFolder, TokenCounters
from touchstone_data.service.working import Task

PAGE, DOCUMENT = "report.html", "report.json"
CLUSTERS = 8
LANGUAGE_RECORDS = 500
"""Languages are told of this many records of a sample: that takes a millisecond each."""
BANDING = Banding(bands=28, rows=4, similarity=0.7)
"""What counts as a near duplicate: nearly all pairs of 0.7 share a band."""


class Inspecting:
    """Writes reports beside snapshots."""

    def __init__(self, detectors: Detectors, counters: TokenCounters, reporter: Reporter) -> None:
        self._detectors = detectors
        self._counters = counters
        self._reporter = reporter

    def inspect(self, folder: SnapshotFolder, task: Task, snapshot: Snapshot) -> None:
        """Write `report.json` and `report.html`."""
        read = sum(source.records for source in snapshot.sources)
        before = list(_sampled(task, 0, read))
        after = list(_sampled(task, task.stage.number - 1, snapshot.records))
        licences = {source.name: source.licence for source in snapshot.sources}
        texts = [_text(record, task.spec.text_fields) for record in after]
        # What a model is to say must not make records alike, or labels would agree with themselves.
        inputs = [_text(record, task.spec.text_fields, silent=("system", "assistant")) for record in after]
        sample = Sample(
            records=after,
            texts=texts,
            vectors=vectors.of_texts(inputs),
            label_field=task.spec.report.label_field,
            licences=licences,
        )
        task.beat()
        alike = similarity.near(inputs, BANDING)
        found = Inspection(
            before=self._profile(before, [_text(record, task.spec.text_fields) for record in before]),
            after=self._profile(after, texts),
            pillars=pillars.judge(sample, alike, self._detectors.personal),
            diversity=_diversity(sample),
            splits={file.split: file.records for file in snapshot.files if file.split},
            tokens=self._tokens(after, task.spec),
        )
        folder.put(DOCUMENT, orjson.dumps(found, option=orjson.OPT_INDENT_2))
        folder.put(PAGE, self._reporter.page(found, snapshot).encode())

    def _tokens(self, records: Sequence[Record], spec: PipelineSpec) -> TokenProfile | None:
        if spec.report.tokens is None:
            return None
        counter = self._counters.open(spec.report.tokens, spec.text_fields)
        said: dict[str, list[str]] = defaultdict(list)
        for record in records:
            for turn in _turns(record):
                said[str(turn.get("role"))].append(str(turn.get("content") or ""))
        try:
            counts = counter.records(records)
        except ValueError as error:
            raise errors.TokenizerInvalid(str(error)) from error
        return tokens.profile(
            counts,
            [record.split for record in records],
            {role: counter.texts(texts) for role, texts in said.items()},
            spec.report.tokens.max_sequence_length,
        )

    def _profile(self, records: Sequence[Record], texts: Sequence[str]) -> Profile:
        languages = Counter(self._detectors.language(text) for text in texts[:LANGUAGE_RECORDS] if text.strip())
        return profiling.profile(records, texts, languages)


def _sampled(task: Task, stage: int, total: int) -> Iterator[Record]:
    """Take a sample of the records of a stage."""
    most = 2.0**64 * min(1.0, task.spec.report.sample_records / max(1, total))

    def wanted(source: str, name: str) -> bool:
        return similarity.number(f"{source}/{name}") < most

    for shard in range(task.shards):
        task.beat()
        yield from task.workshop.records(stage, shard, wanted=wanted)


def _text(record: Record, paths: Sequence[str], *, silent: Sequence[str] = ("system",)) -> str:
    """The text of a record; of a conversation what is said in it, except by the silent ones."""
    said = (turn.get("content") for turn in _turns(record) if turn.get("role") not in silent)
    return "\n".join(content for content in said if isinstance(content, str)) or text_of(record, paths)


def _turns(record: Record) -> Iterator[Mapping[str, Json]]:
    messages = record.fields.get("messages")
    if isinstance(messages, Sequence) and not isinstance(messages, str):
        yield from (turn for turn in messages if isinstance(turn, Mapping))


def _diversity(sample: Sample) -> Diversity:
    laid = coverage.mapped(sample.vectors, CLUSTERS)
    sizes = Counter(laid.cluster.tolist())
    names = coverage.names(sample.texts, laid.cluster)
    return Diversity(
        vendi=coverage.vendi(sample.vectors),
        variance=laid.variance,
        clusters=[Cluster(words=name, records=sizes[number]) for number, name in enumerate(names)],
        spots=[
            Spot(id=record.id, x=float(x), y=float(y), cluster=int(cluster))
            for record, (x, y), cluster in zip(sample.records, laid.places, laid.cluster, strict=True)
        ],
        curve=coverage.curve(sample.vectors),
    )

"""Queues, annotations and exports: protos to our values and back. Pure."""

from collections import defaultdict

from touchstone.data.v1 import curation_service_pb2 as pb
from touchstone_runtime.errors import Violation

from touchstone_data import errors
from touchstone_data.api import convert
from touchstone_data.api.feedback_convert import time_to
from touchstone_data.core.feedback import Signal
from touchstone_data.core.queues import DEFAULT_ANNOTATORS, DEFAULT_LEASE_SECONDS, Annotation, QueueSpec
from touchstone_data.core.spec import Source
from touchstone_data.ports import ClaimedItem, Exporting
from touchstone_data.service.annotating import Look, Standing
from touchstone_data.service.feedback import Summary

MAX_DISPUTES = 50


def spec_from(request: pb.CreateQueueRequest) -> QueueSpec:
    """Read a specification, with every default filled in. Raises QueueInvalid: It is missing."""
    if not request.HasField("spec"):
        raise errors.QueueInvalid([Violation("spec", "Must be set: say what annotators do.")])
    spec = request.spec
    return QueueSpec(
        name=spec.name,
        guideline=spec.guideline,
        choices=tuple(spec.choices),
        json_schema=spec.json_schema,
        annotators_per_item=spec.annotators_per_item or DEFAULT_ANNOTATORS,
        overlap=spec.overlap if spec.HasField("overlap") else 1.0,
        min_alpha=spec.min_alpha if spec.HasField("min_alpha") else None,
        lease_seconds=spec.lease_seconds or DEFAULT_LEASE_SECONDS,
    )


def source_from(request: pb.AddItemsRequest) -> Source:
    """Read a source. Raises QueueInvalid: Its format is unknown, or it names a Secret, which is not read here."""
    sent = request.source
    if sent.format not in convert.FORMATS:
        fault = f"{sent.format} is not a value that this version knows."
        raise errors.QueueInvalid([Violation("source.format", fault)])
    if sent.HasField("credentials"):
        fault = "Must not be set: a queue is filled from what needs no keys. Have a pipeline bring the records here."
        raise errors.QueueInvalid([Violation("source.credentials", fault)])
    return convert.source_from(sent)


def queue_to(standing: Standing) -> pb.Queue:
    """Write a queue."""
    spec, progress = standing.queue.spec, standing.progress
    return pb.Queue(
        spec=pb.QueueSpec(
            name=spec.name,
            guideline=spec.guideline,
            choices=spec.choices,
            json_schema=spec.json_schema,
            annotators_per_item=spec.annotators_per_item,
            overlap=spec.overlap,
            min_alpha=spec.min_alpha,
            lease_seconds=spec.lease_seconds,
        ),
        guideline_digest=spec.guideline_digest,
        created_time=time_to(standing.queue.created_at),
        progress=pb.QueueProgress(
            items=progress.items,
            complete=progress.complete,
            annotations=progress.annotations,
            claimed=progress.claimed,
            skipped=progress.skipped,
            annotators=progress.annotators,
        ),
    )


def look_to(look: Look) -> pb.GetQueueResponse:
    """Write a queue with how far annotators agree."""
    found = look.reliability
    by_item: defaultdict[str, list[pb.Annotation]] = defaultdict(list)
    for one in look.annotations:
        by_item[one.item_id].append(annotation_to(one))
    return pb.GetQueueResponse(
        queue=queue_to(look.standing),
        agreement=pb.QueueAgreement(
            alpha=found.alpha,
            ci_low=found.interval.low if found.interval else None,
            ci_high=found.interval.high if found.interval else None,
            items=found.items,
            parts=[pb.PartAlpha(name=part.name, alpha=part.alpha) for part in found.parts],
            pairs=[
                pb.PairAlpha(first=pair.first, second=pair.second, items=pair.items, alpha=pair.alpha)
                for pair in found.pairs
            ],
        ),
        disputes=[pb.Dispute(item_id=item, annotations=by_item[item]) for item in found.disputed[:MAX_DISPUTES]],
        disputed=len(found.disputed),
    )


def annotation_to(found: Annotation) -> pb.Annotation:
    """Write an annotation."""
    return pb.Annotation(annotator=found.annotator, label=found.label)


def claim_to(found: ClaimedItem | None) -> pb.ClaimItemResponse:
    """Write a claim; an empty answer where there is none."""
    if found is None:
        return pb.ClaimItemResponse()
    return pb.ClaimItemResponse(
        item=pb.QueueItem(item_id=found.item.id, fields=convert.struct(found.item.fields)),
        expiry_time=time_to(found.until),
    )


def summary_to(found: Summary) -> pb.FeedbackSummary:
    """Write a summary."""
    share = found.up_share
    return pb.FeedbackSummary(
        revision_digest=found.revision_digest,
        thumbs_up=found.counts.get(Signal.THUMB_UP, 0),
        thumbs_down=found.counts.get(Signal.THUMB_DOWN, 0),
        edits=found.counts.get(Signal.EDIT, 0),
        corrections=found.counts.get(Signal.CORRECTION, 0),
        comments=found.counts.get(Signal.COMMENT, 0),
        up_share=pb.ShareEstimate(value=share.value, ci_low=share.low, ci_high=share.high) if share else None,
    )


def export_to(found: Exporting) -> pb.Export:
    """Write an export."""
    return pb.Export(uri=found.uri, digest=found.digest, records=found.records, left_out=found.left_out)

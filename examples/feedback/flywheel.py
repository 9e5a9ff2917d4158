"""The data flywheel once round: feedback, three annotators, one of them careless, agreement, export, snapshot.

    python examples/feedback/flywheel.py 127.88.1.37:50051

takes the address of a data service, as `touchstone up` shows it. What a product and people would do is made up here.
"""

import asyncio
import random
import sys
import uuid
from pathlib import Path

from google.protobuf import json_format
from touchstone.data.v1 import curation_service_pb2 as curation
from touchstone.data.v1 import curation_service_pb2_grpc as curation_grpc
from touchstone.data.v1 import data_service_pb2 as data
from touchstone.data.v1 import data_service_pb2_grpc as data_grpc
from touchstone.data.v1 import feedback_service_pb2 as feedback
from touchstone.data.v1 import feedback_service_pb2_grpc as feedback_grpc
from touchstone_runtime import channels

LETTERS = {
    "billing": "You charged my card twice for the {}. Write to me at {}@shop.example.",
    "shipping": "The {} that I ordered has not arrived. Write to me at {}@shop.example.",
    "returns": "How can I send the {} back? Write to me at {}@shop.example.",
}
THINGS = ("lamp", "kettle", "chair", "radio", "clock", "mirror", "drill", "tent", "globe", "rug")
STEPS = [
    {"name": "agreement", "parameters": {"min_alpha": 0.2}},
    {"name": "adjudicate"},
    {"name": "redact-pii"},
    {"name": "split", "parameters": {"validation": 0.2, "similarity": 0.9}},
    {
        "name": "to-chat",
        "parameters": {
            "messages": [
                {"role": "user", "template": "{{ messages[-1].content }}"},
                {"role": "assistant", "template": "{{ label }}"},
            ],
            "keep": ["label", "lineage"],
        },
    },
]
FINAL = (data.PIPELINE_STATE_SUCCEEDED, data.PIPELINE_STATE_FAILED, data.PIPELINE_STATE_CANCELLED)


async def main(address: str) -> None:
    """Turn the wheel once."""
    name = f"letters-{uuid.uuid4().hex[:8]}"
    digest = f"sha256:{uuid.uuid4().hex}{uuid.uuid4().hex}"  # a product has it from the answer
    async with channels.connect(address) as channel:
        right = await give(feedback_grpc.FeedbackServiceStub(channel), digest)
        desk = curation_grpc.CurationServiceStub(channel)
        export = await annotate(desk, name, digest, right)
        await learn(data_grpc.DataServiceStub(channel), name, export)


async def give(stub: feedback_grpc.FeedbackServiceStub, digest: str) -> dict[str, str]:
    """Say of some answers that they are wrong, and return what would have been right."""
    right = {}
    for number in range(30):
        queue = list(LETTERS)[number % 3]
        one = feedback.Feedback(
            feedback_id=str(uuid.uuid4()),
            revision_digest=digest,
            messages=[{"role": "user", "content": LETTERS[queue].format(THINGS[number % 10], f"a{number}")}],
            response="other",
            thumb=feedback.THUMB_DOWN,
            end_user=f"pseudonym-{number}",
            consent=True,
            retention_days=30,
        )
        await stub.RecordFeedback(feedback.RecordFeedbackRequest(feedback=one))
        right[one.feedback_id] = queue
    return right


async def annotate(
    desk: curation_grpc.CurationServiceStub, name: str, digest: str, right: dict[str, str]
) -> curation.Export:
    """Have the answers labelled by three people."""
    guideline = Path(__file__).with_name("guideline.md").read_text()
    spec = curation.QueueSpec(name=name, guideline=guideline, choices=list(LETTERS), min_alpha=0.2)
    await desk.CreateQueue(curation.CreateQueueRequest(spec=spec))
    chosen = curation.FeedbackFilter(revision_digest=digest, kinds=[curation.FEEDBACK_KIND_THUMB_DOWN])
    await desk.AddItems(curation.AddItemsRequest(queue=name, feedback=chosen))
    lots = random.Random(1)  # noqa: S311 - made up, and the same each time
    for person in ("ann", "ben", "careless"):
        claim = curation.ClaimItemRequest(queue=name, annotator=person)
        while (item := (await desk.ClaimItem(claim)).item).item_id:
            label = lots.choice(list(LETTERS)) if person == "careless" else right[item.item_id]
            said = curation.SubmitAnnotationRequest(queue=name, item_id=item.item_id, annotator=person, label=label)
            await desk.SubmitAnnotation(said)
    found = await desk.GetQueue(curation.GetQueueRequest(queue=name))
    alpha = found.agreement
    print(f"alpha {alpha.alpha:.2f} ({alpha.ci_low:.2f} to {alpha.ci_high:.2f}), {found.disputed} disputed")
    for pair in alpha.pairs:
        print(f"  {pair.first} and {pair.second}: {pair.alpha:.2f}")
    return (await desk.ExportQueue(curation.ExportQueueRequest(queue=name))).export


async def learn(stub: data_grpc.DataServiceStub, name: str, export: curation.Export) -> None:
    """Make a snapshot of the export."""
    print(f"exported {export.records} records: {export.uri}")
    spec = data.PipelineSpec(name=name, text_fields=["messages[].content", "response"])
    spec.sources.add(name="queue", uri=export.uri, digest=export.digest)
    for step in STEPS:
        json_format.ParseDict(step, spec.steps.add())
    await stub.StartPipeline(data.StartPipelineRequest(dispatch_id=name, spec=spec))
    while True:
        found = (await stub.GetPipeline(data.GetPipelineRequest(dispatch_id=name))).pipeline
        if found.state in FINAL:
            break
        await asyncio.sleep(0.5)
    if found.state != data.PIPELINE_STATE_SUCCEEDED:
        sys.exit(f"{found.error.reason}: {found.error.message}")
    print(f"snapshot of {found.snapshot.records} records: {found.snapshot.uri}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))

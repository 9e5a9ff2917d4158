"""Diagnoses of runs: asking for them, and showing them."""

from typing import Any

import grpc
from rich.table import Table
from touchstone.evaluation.v1 import evaluation_service_pb2 as pb
from touchstone.evaluation.v1 import evaluation_service_pb2_grpc as pb_grpc
from touchstone_runtime import channels

TIMEOUT_SECONDS = 60.0

_LACKS = {
    pb.LACK_FORM: "form",
    pb.LACK_KNOWLEDGE: "knowledge",
    pb.LACK_SEARCH: "the search did not find",
    pb.LACK_READING: "the passage was there",
}
_ADVICE = {
    pb.ADVICE_NONE: "Nothing failed.",
    pb.ADVICE_FINETUNE: "Form is missing: constrain the output or mend the prompt, and finetune where that fails.",
    pb.ADVICE_RETRIEVE: "Knowledge is missing: an index brings it, finetuning does not.",
    pb.ADVICE_MEND_SEARCH: "The search does not find: mend the index.",
    pb.ADVICE_CHANGE_MODEL: "What was needed stood in the prompt and was not used: another prompt, or another model.",
    pb.ADVICE_UNCLEAR: "No part is most of the failures with confidence: measure more items, or look at the examples.",
}


async def diagnose(address: str, dispatch_id: str) -> pb.DiagnoseRunResponse:
    """Ask the evaluation service what a run's failures were short of. Raises what the service answers."""
    async with channels.connect(address) as channel:
        try:
            stub: Any = pb_grpc.EvaluationServiceStub(channel)
            request = pb.DiagnoseRunRequest(dispatch_id=dispatch_id)
            response: pb.DiagnoseRunResponse = await stub.DiagnoseRun(request, timeout=TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise channels.translate(error, "evaluation") from error
        return response


def table(diagnosis: pb.Diagnosis) -> Table:
    """Show the parts of a suite's failures."""
    title = f"{diagnosis.suite}: {diagnosis.failures} of {diagnosis.answers} answers failed"
    shown = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name, justify in (("short of", "left"), ("answers", "right"), ("share", "right"), ("for example", "left")):
        shown.add_column(name, justify=justify)  # type: ignore[arg-type] # rich has a literal type for it
    for part in diagnosis.parts:
        share = f"{part.share:.0%} ({part.ci_low:.0%} to {part.ci_high:.0%})"
        shown.add_row(_LACKS[part.lack], str(part.count), share, ", ".join(part.examples))
    return shown


def advice(diagnosis: pb.Diagnosis) -> str:
    """Say what to do about it."""
    return _ADVICE[diagnosis.advice]

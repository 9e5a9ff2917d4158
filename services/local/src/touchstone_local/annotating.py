"""An annotator's session at a terminal: the guideline, then item after item until none is left."""

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from google.protobuf import json_format
from touchstone.data.v1 import curation_service_pb2 as pb
from touchstone_runtime.errors import FailedPrecondition, Invalid, NotFound

from touchstone_local import curating
from touchstone_local.curating import TIMEOUT_SECONDS, Client

SKIP, GUIDELINE, QUIT = "s", "g", "q"
HELP = f"{SKIP} skips, {GUIDELINE} shows the guideline, {QUIT} quits"


class Terminal(Protocol):
    """Where a person sits."""

    def say(self, text: str) -> None:
        """Show a line or several."""
        ...

    def ask(self, question: str) -> str:
        """Ask for a line; QUIT at the end of the input."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotating:
    """One person at one queue."""

    client: Client
    queue: str
    annotator: str
    terminal: Terminal

    async def run(self) -> int:
        """Annotate until nothing is left or the person quits, and return how many items were labelled.

        Raises:
            DomainError: What the data service answers.
        """
        request = pb.GetQueueRequest(queue=self.queue)
        spec = (await curating.answer(self.client.curation.GetQueue(request, timeout=TIMEOUT_SECONDS))).queue.spec
        self.terminal.say(spec.guideline)
        labelled = 0
        while True:
            claim = pb.ClaimItemRequest(queue=self.queue, annotator=self.annotator)
            claimed = await curating.answer(self.client.curation.ClaimItem(claim, timeout=TIMEOUT_SECONDS))
            if not claimed.HasField("item"):
                self.terminal.say("Nothing is left for you now.")
                return labelled
            self.terminal.say("\n".join(["", f"── {claimed.item.item_id}", *shown(claimed.item)]))
            outcome = await self._one(spec, claimed.item.item_id)
            if outcome == QUIT:
                return labelled
            labelled += outcome != SKIP

    async def _one(self, spec: pb.QueueSpec, item_id: str) -> str:
        """Ask until the item is labelled or skipped, or the person quits."""
        while True:
            label = _choice(self.terminal, "label", spec.choices) if spec.choices else _object(self.terminal, spec)
            if label == QUIT:
                return QUIT
            if label == GUIDELINE:
                self.terminal.say(spec.guideline)
                continue
            try:
                if label == SKIP:
                    reason = self.terminal.ask("why can it not be told")
                    if reason == QUIT:
                        return QUIT
                    await self._send(self.client.curation.SkipItem, pb.SkipItemRequest, item_id, reason=reason)
                else:
                    await self._send(
                        self.client.curation.SubmitAnnotation, pb.SubmitAnnotationRequest, item_id, label=label
                    )
            except Invalid as error:
                self.terminal.say("\n".join(f"{fault.field}: {fault.description}" for fault in error.violations))
                continue
            except (FailedPrecondition, NotFound) as error:  # the time ran out, or the item was forgotten
                self.terminal.say(error.message)
                return SKIP
            return label

    async def _send(
        self, method: Callable[..., Awaitable[object]], kind: Callable[..., object], item_id: str, **said: str
    ) -> None:
        request = kind(queue=self.queue, item_id=item_id, annotator=self.annotator, **said)
        await curating.answer(method(request, timeout=TIMEOUT_SECONDS))


def shown(item: pb.QueueItem) -> Iterator[str]:
    """Show an item: conversations turn by turn, all else by name."""
    fields: Mapping[str, Any] = json_format.MessageToDict(item.fields)
    messages = fields.get("messages")
    for turn in messages if isinstance(messages, list) else ():
        yield f"{turn.get('role', '')}: {turn.get('content', '')}" if isinstance(turn, dict) else str(turn)
    for name in sorted(fields):
        value = fields[name]
        if name != "messages" and value not in ("", None):
            yield f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"


def _choice(terminal: Terminal, name: str, choices: "list[Any] | Any") -> str:
    """Ask for one of some labels, by its number or its name; commands go through."""
    numbered = {str(number): str(choice) for number, choice in enumerate(choices, start=1)}
    options = ", ".join(f"{number} {choice}" for number, choice in numbered.items())
    while True:
        said = terminal.ask(f"{name} ({options}; {HELP})").strip()
        if said in numbered.values() or said in (SKIP, GUIDELINE, QUIT):
            return said
        if said in numbered:
            return numbered[said]
        terminal.say(f"{said!r} is none of them.")


def _object(terminal: Terminal, spec: pb.QueueSpec) -> str:
    """Ask for each field of a JSON object; an empty answer leaves it out. The service checks it."""
    found: dict[str, Any] = {}
    for name, schema in json.loads(spec.json_schema)["properties"].items():
        if isinstance(schema, dict) and schema.get("enum"):
            said = _choice(terminal, name, schema["enum"])
        else:
            kind = schema.get("type", "JSON") if isinstance(schema, dict) else "JSON"
            said = terminal.ask(f"{name} ({kind}; {HELP})").strip()
        if said in (SKIP, GUIDELINE, QUIT):
            return said
        if said:
            found[name] = said if _is_text(schema) else _value(said)
    return json.dumps(found)


def _is_text(schema: Any) -> bool:
    if not isinstance(schema, dict):
        return False
    enum = schema.get("enum")
    return all(isinstance(one, str) for one in enum) if enum else schema.get("type") == "string"


def _value(said: str) -> Any:
    words = {"yes": True, "no": False, "True": True, "False": False, "None": None}
    if said in words:
        return words[said]
    try:
        return json.loads(said)
    except ValueError:
        return said

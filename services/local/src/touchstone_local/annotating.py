"""An annotator's session at a terminal: the guideline, then item after item until none is left."""

import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
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
            self.terminal.say(
                "\n".join(
                    ["", f"── {claimed.item.item_id}", *(f"{name}: {text}" for name, text in parts(claimed.item))]
                )
            )
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


def parts(item: pb.QueueItem) -> Iterator[tuple[str, str]]:
    """Take an item apart into what is read, with its name: conversations turn by turn, then all other fields."""
    fields: Mapping[str, Any] = json_format.MessageToDict(item.fields)
    messages = fields.get("messages")
    turns = messages if isinstance(messages, list) else []
    for turn in turns:
        is_turn = isinstance(turn, dict)
        yield (str(turn.get("role", "")), str(turn.get("content", ""))) if is_turn else ("", str(turn))
    for name in sorted(fields):
        value = fields[name]
        if not (name == "messages" and turns) and value not in ("", None):
            yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _choice(terminal: Terminal, name: str, choices: Iterable[object]) -> str:
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
    found: dict[str, str] = {}
    for name, schema in properties(spec).items():
        if schema.get("enum"):
            found[name] = _choice(terminal, name, schema["enum"])
        else:
            found[name] = terminal.ask(f"{name} ({schema.get('type', 'JSON')}; {HELP})").strip()
        if found[name] in (SKIP, GUIDELINE, QUIT):
            return found[name]
    return written(spec, found)


def properties(spec: pb.QueueSpec) -> Mapping[str, Mapping[str, Any]]:
    """Return the schemas of the fields of a label that is a JSON object."""
    found = json.loads(spec.json_schema)["properties"]
    return {name: schema if isinstance(schema, dict) else {} for name, schema in found.items()}


def written(spec: pb.QueueSpec, said: Mapping[str, str]) -> str:
    """Write what was said of each field as a JSON object; what is empty is left out."""
    return json.dumps({name: _value(schema, said[name]) for name, schema in properties(spec).items() if said[name]})


def _value(schema: Mapping[str, Any], said: str) -> Any:
    """Read what was said as what the schema asks for; what does not fit stays a text, which the service refuses."""
    for choice in schema.get("enum", ()):
        if said == str(choice):
            return choice
    if schema.get("type") == "string":
        return said
    if said in ("yes", "no"):
        return said == "yes"
    try:
        return json.loads(said)
    except ValueError:
        return said

"""Writes the story's files into a folder: raw tickets with planted faults, held-out questions, and what is applied.

    python examples/ticket-triage/prepare.py FOLDER

The manifests are those beside this file, with the folder's address in place of `file:///tickets`.
"""

import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tickets import NAMES, SIGNATURES, Ticket, tickets

CLEAN, HELD_OUT = 400, 64
MANIFESTS = ("prompts.yaml", "a-base.yaml", "b-finetune.yaml", "c-tuned.yaml")
PLACE = "file:///tickets"


def raw(count: int, *, seed: int) -> Iterator[dict[str, str]]:
    """Make raw tickets: each clean one, often in a dirty form, and now and then one that must be left out."""
    generator = random.Random(seed)  # noqa: S311 - made up, and the same each time
    for number, ticket in enumerate(tickets(count, seed=seed)):
        record = {"id": f"clean-{number}", "body": _dirty(ticket.text, generator), **ticket.label._asdict()}
        yield record
        match number % 20:
            case 3:
                yield record | {"id": f"exact-{number}"}
            case 7:
                yield record | {"id": f"empty-{number}", "body": "<p>&nbsp;</p>"}
            case 11:
                yield record | {"id": f"label-{number}", "queue": "misc", "body": f"{ticket.text} Case {number}."}
            case 15:
                yield record | {"id": f"noise-{number}", "body": "asdf asdf"}


def _dirty(text: str, generator: random.Random) -> str:
    """Put a name, an address, a signature or markup into a ticket, as mail programs and people do."""
    if generator.random() < 0.2:
        number = generator.randint(10, 99)
        text = f"{text} Reach me at customer{number}@example.com or +44 20 7946 09{number}."
    if generator.random() < 0.2:
        text = f"{text}\n\nKind regards,\n{generator.choice(NAMES)}\n-- \n{generator.choice(SIGNATURES)}"
    if generator.random() < 0.2:
        text = f"<html><body><p>{text}</p></body></html>"
    return text


def contaminated(found: list[Ticket]) -> Iterator[dict[str, str]]:
    """Take tickets of the held-out questions into the raw ones, as happens when both are drawn from one mailbox."""
    for number, ticket in enumerate(found[:4]):
        yield {"id": f"held-out-{number}", "body": ticket.text, **ticket.label._asdict()}


def main(folder: Path) -> None:
    """Write everything."""
    folder.mkdir(parents=True, exist_ok=True)
    held_out = list(tickets(HELD_OUT, seed=2, is_held_out=True))
    records = [*raw(CLEAN, seed=1), *contaminated(held_out)]
    _write(folder / "tickets.jsonl", records)
    _write(
        folder / "held-out.jsonl",
        [
            {"id": f"held-out-{number}", "question": ticket.text, "answers": [ticket.label.answer()]}
            for number, ticket in enumerate(held_out)
        ],
    )
    address = folder.resolve().as_uri()
    for name in MANIFESTS:
        text = (Path(__file__).parent / name).read_text(encoding="utf-8")
        (folder / name).write_text(text.replace(PLACE, address), encoding="utf-8")
    kinds = Counter(record["id"].partition("-")[0] for record in records)
    print(f"{len(records)} tickets ({', '.join(f'{count} {kind}' for kind, count in kinds.items())}) in {folder}")


def _write(path: Path, records: list[dict[str, object]] | list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

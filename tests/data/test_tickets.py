"""The story of tickets: letters with known faults go through all steps; every fault is found, no clean letter is lost."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

QUEUES = ("billing", "shipping", "account", "technical")
PARTS = {
    "billing": ["invoice", "refund", "charge", "receipt", "subscription", "payment", "tax", "discount"],
    "shipping": ["parcel", "courier", "address", "delivery", "pallet", "customs", "warehouse", "label"],
    "account": ["password", "login", "profile", "username", "session", "permission", "invitation", "token"],
    "technical": ["crash", "update", "printer", "firmware", "sensor", "network", "display", "battery"],
}
VERBS = ["lost", "broke", "missed", "changed", "returned", "repeated", "blocked", "delayed", "doubled", "moved"]
PLACES = ["Lisbon", "Oslo", "Kyoto", "Quito", "Lagos", "Perth", "Turin", "Basel", "Davos", "Malmo", "Ghent", "Porto"]
THINGS = [
    "lamp",
    "chair",
    "kettle",
    "router",
    "camera",
    "ladder",
    "tablet",
    "mirror",
    "saddle",
    "violin",
    "tent",
    "oven",
]
SIGNATURE = "\n\n-- \nAcme Limited\nThis e-mail is confidential."
EVALUATION = "the quarterly reconciliation of the northern depot failed because two ledgers disagreed about the same crate of oranges"


def body(rng: random.Random, queue: str) -> str:
    """A letter that shares no long run of words with another: each sentence names a number of its own."""
    parts = PARTS[queue]
    sentences = [
        f"The {rng.choice(parts)} for our {rng.choice(THINGS)} number {rng.randrange(10**5)} {rng.choice(VERBS)} near "
        f"{rng.choice(PLACES)} on day {rng.randrange(10**4)} and the {rng.choice(parts)} of unit {rng.randrange(10**4)} "
        f"then {rng.choice(VERBS)} beside the {rng.choice(THINGS)}."
        for _ in range(4)
    ]
    return " ".join(sentences)


@dataclass
class Letters:
    """Letters, and what was planted in them."""

    rows: list[Any] = field(default_factory=list)
    clean: set[str] = field(default_factory=set)
    exact: set[str] = field(default_factory=set)
    near: set[str] = field(default_factory=set)
    short: set[str] = field(default_factory=set)
    wrong: set[str] = field(default_factory=set)
    contaminated: set[str] = field(default_factory=set)
    secrets: list[str] = field(default_factory=list)


def letters(count: int = 400, seed: int = 7) -> Letters:
    """Write clean letters and planted ones in random order."""
    rng = random.Random(seed)
    made = Letters()
    clean: list[dict[str, Any]] = []
    for number in range(count):
        queue = QUEUES[number % 4]
        row = {"id": f"clean-{number}", "subject": f"About {PARTS[queue][number % 8]} {number}", "queue": queue}
        clean.append({**row, "body": body(rng, queue), "priority": "normal", "language": "en"})
    made.clean = {row["id"] for row in clean}
    extra: list[dict[str, Any]] = []

    def plant(kind: str, number: int, **changes: Any) -> None:
        extra.append({**clean[number], "id": f"{kind}-{number}", **changes})
        getattr(made, kind).add(f"{kind}-{number}")

    for number in range(40):
        plant("exact", number, body=clean[number]["body"].upper() if number % 2 else clean[number]["body"] + SIGNATURE)
    for number in range(40, 80):
        plant("near", number, body=clean[number]["body"] + f" Please answer soon, {number}.")
    for number in range(80, 90):
        plant("short", number, body="<p>&nbsp;</p>" if number % 2 else "help", subject="hm")
    for number in range(90, 100):
        plant("wrong", number, queue="unknown", body=body(rng, "billing"))
    for number in range(100, 105):
        plant("contaminated", number, body=f"{body(rng, 'billing')} Also {EVALUATION} yesterday.")
    for number in range(100, 200):
        _dirty(clean[number], number, made)
    made.rows = [*clean, *extra]
    rng.shuffle(made.rows)
    # Of duplicates the first stays: originals come before their copies.
    made.rows.sort(key=lambda row: row["id"] not in made.clean)
    return made


def _dirty(row: dict[str, Any], number: int, made: Letters) -> None:
    """Put personal data, HTML, a signature or a wrong decoding into a letter that must stay."""
    secret = [
        f"jane{number}@example.com",
        f"+44 20 7946 0{number}",
        "4111 1111 1111 1111",
        "DE89 3704 0044 0532 0130 00",
        f"192.168.7.{number}",
    ][number % 5]
    made.secrets.append(secret)
    text = f"{row['body']} Reach me at {secret} please."
    if number % 3 == 0:
        text = f"<html><body><nav>Home | Shop</nav><p>{text}</p><script>track()</script></body></html>"
    elif number % 3 == 1:
        made.secrets.append("Jane Doe")
        text = f"Dear Team,\n{text}\n\nKind regards,\nJane Doe{SIGNATURE}"
    else:
        text = text.replace("The ", "The cafÃ© ", 1)
    row["body"] = text


@pytest.fixture(scope="module")
def planted() -> Letters:
    return letters()


@pytest.fixture
def ran(bench: Any, make_spec: Any, read: Any, planted: Letters) -> Any:
    against = bench.write("evaluation.jsonl", [{"question": EVALUATION}, {"question": "too short"}])
    steps: list[str | tuple[str, Mapping[str, Any]]] = [
        "clean-html",
        "fix-text",
        "drop-boilerplate",
        "redact-pii",
        ("require", {"fields": ["body"], "labels": {"queue": list(QUEUES)}}),
        ("length", {"min_words": 8}),
        "deduplicate-exact",
        "deduplicate-fuzzy",
        ("contamination", {"against": [{"uri": against, "name": "held-out"}], "on_hit": "drop"}),
        ("split", {"validation": 0.1, "test": 0.1}),
        (
            "to-chat",
            {
                "messages": [
                    {"role": "system", "template": "Name the queue."},
                    {"role": "user", "template": "{{ subject }}\n{{ body }}"},
                    {"role": "assistant", "template": "{{ queue }}"},
                ],
                "keep": ["queue"],
            },
        ),
    ]
    spec = make_spec(
        bench.write("tickets.jsonl", planted.rows), *steps, text_fields=("subject", "body"), shard_records=100
    )
    return read(bench.run(spec))


def test_every_plant_is_found_and_no_clean_letter_is_lost(ran: Any, planted: Letters) -> None:
    assert ran.dropped_by("deduplicate-exact") == planted.exact
    assert ran.dropped_by("deduplicate-fuzzy") == planted.near
    assert ran.dropped_by("require") | ran.dropped_by("length") == planted.short | planted.wrong
    assert ran.dropped_by("contamination") == planted.contaminated
    assert {row["record_id"] for row in ran.all_rows} == planted.clean


def test_no_secret_is_left_in_the_conversations(ran: Any, planted: Letters) -> None:
    said = "\n".join(turn["content"] for row in ran.all_rows for turn in row["messages"])
    assert [secret for secret in planted.secrets if secret in said] == []
    for trace in ("<p>", "track()", "Home | Shop", "confidential", "Acme Limited", "cafÃ©"):
        assert trace not in said
    for kind in ("<EMAIL>", "<PHONE>", "<CARD>", "<IBAN>", "<IP>", "<NAME>", "café"):
        assert kind in said


def test_conversations_have_their_turns_and_their_label(ran: Any) -> None:
    for row in ran.all_rows:
        assert [turn["role"] for turn in row["messages"]] == ["system", "user", "assistant"]
        assert row["messages"][-1]["content"] == row["queue"]
    assert set(ran.rows) == {"train", "validation", "test"}
    assert 0.02 < len(ran.rows["test"]) / len(ran.all_rows) < 0.2


def test_the_manifest_accounts_for_every_record(ran: Any, planted: Letters) -> None:
    steps = ran.manifest["steps"]
    assert sum(source["records"] for source in ran.manifest["sources"]) == len(planted.rows)
    assert len(ran.all_rows) + len(ran.dropped) == len(planted.rows)
    before = len(planted.rows)
    for step in steps:
        assert step["records"] == before, step["name"]
        before -= sum(step["dropped"].values())
    assert before == len(ran.all_rows)
    assert next(step for step in steps if step["name"] == "redact-pii")["changed"] >= 100


def test_a_duplicate_names_what_stays_in_its_place(ran: Any) -> None:
    for row in ran.dropped:
        if row["step"].startswith("deduplicate"):
            assert row["detail"] == f"clean-{row['record_id'].split('-')[1]}"
            assert row["score"] >= 0.7

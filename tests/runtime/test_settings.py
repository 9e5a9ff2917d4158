"""Settings: typed, and all faults at once."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

import pytest
from touchstone_runtime import settings
from touchstone_runtime.settings import SettingsInvalid, setting


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    listen: str = setting(example="127.0.0.1:1")
    count: int = setting(default=3, minimum=1, maximum=9)
    ratio: float = 0.5
    flag: bool = False
    folder: Path | None = None
    names: tuple[str, ...] = ()
    colour: Colour = Colour.RED
    form: Literal["json", "text"] = "json"
    home: str = setting(default="", env="SAMPLE_HOME")
    key: str = setting(default="", secret=True)


def test_each_type_is_read() -> None:
    found = settings.load(
        Sample,
        {
            "TOUCHSTONE_LISTEN": "h:1",
            "TOUCHSTONE_COUNT": "7",
            "TOUCHSTONE_RATIO": "0.25",
            "TOUCHSTONE_FLAG": "yes",
            "TOUCHSTONE_FOLDER": "/x",
            "TOUCHSTONE_NAMES": "a, b",
            "TOUCHSTONE_COLOUR": "blue",
            "TOUCHSTONE_FORM": "text",
            "SAMPLE_HOME": "here",
        },
    )
    assert found == Sample(
        listen="h:1", count=7, ratio=0.25, flag=True, folder=Path("/x"), names=("a", "b"), colour=Colour.BLUE,
        form="text", home="here",
    )  # fmt: skip


def test_what_is_unset_or_empty_takes_its_default() -> None:
    assert settings.load(Sample, {"TOUCHSTONE_LISTEN": "h:1", "TOUCHSTONE_COUNT": ""}) == Sample(listen="h:1")


def test_all_faults_are_reported_together_with_what_to_do() -> None:
    environ = {
        "TOUCHSTONE_COUNT": "12",
        "TOUCHSTONE_RATIO": "half",
        "TOUCHSTONE_COLOUR": "green",
        "TOUCHSTONE_FORM": "x",
    }
    with pytest.raises(SettingsInvalid) as caught:
        settings.load(Sample, environ)
    assert {v.field.removeprefix("TOUCHSTONE_"): v.description for v in caught.value.violations} == {
        "LISTEN": "is required; for example TOUCHSTONE_LISTEN=127.0.0.1:1",
        "COUNT": "the value '12' is above 9",
        "RATIO": "the value 'half' is not a number",
        "COLOUR": "the value 'green' is not one of red, blue",
        "FORM": "the value 'x' is not one of json, text",
    }


def test_a_secret_is_never_shown() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Secretive:
        pin: int = setting(default=1, secret=True)

    with pytest.raises(SettingsInvalid) as caught:
        settings.load(Secretive, {"TOUCHSTONE_PIN": "hunter2"})
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(Sample(listen="h:1", key="hunter2"))

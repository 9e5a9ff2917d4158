"""Gates as tables: what was measured, against what, and what came of it."""

from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from rich.table import Table
from rich.text import Text

from touchstone_local import fields
from touchstone_local.fields import Object

COLOURS = {"Passed": "green", "Failed": "red", "Inconclusive": "yellow", "Error": "red"}

_OPERATORS = {"GreaterOrEqual": "≥", "LessOrEqual": "≤", "Greater": ">", "Less": "<"}


def gate_table(evalrun: Mapping[str, object], *, title: str = "") -> Table:
    """Return the table of an EvalRun: a row a criterion.

    The interval is of the difference where there is a baseline, and of the candidate's value otherwise. A criterion
    that has no result yet is shown with empty cells.
    """
    table = Table(title=title or _title(evalrun), title_justify="left", title_style="bold")
    for name, justify in (
        ("criterion", "left"), ("metric", "left"), ("baseline", "right"), ("candidate", "right"),
        ("difference", "right"), (_interval_name(evalrun), "right"), ("verdict", "left"), ("items", "right"),
    ):  # fmt: skip
        table.add_column(name, justify="right" if justify == "right" else "left", no_wrap=name != "metric")
    results = {fields.text(each, "name"): each for each in fields.items(evalrun, "status", "criteria")}
    for criterion in fields.items(evalrun, "spec", "criteria"):
        table.add_row(*_row(criterion, results.get(fields.text(criterion, "name"), {})))
    return table


def verdict(evalrun: Mapping[str, object]) -> Text:
    """Return a run's verdict in its colour, with the reason."""
    said = fields.text(evalrun, "status", "verdict", default="Pending")
    text = Text(said, style=f"bold {COLOURS.get(said, 'cyan')}")
    message = fields.text(evalrun, "status", "message")
    return text.append(f"  {message}", style="default") if message else text


def remarks(evalrun: Mapping[str, object]) -> list[str]:
    """Return what the criteria say for themselves, those that did not pass first."""
    criteria = sorted(
        fields.items(evalrun, "status", "criteria"), key=lambda each: fields.text(each, "verdict") == "Passed"
    )
    said = [(fields.text(each, "name"), fields.text(each, "message")) for each in criteria]
    return [f"{name}: {message}" for name, message in said if message]


def report_uri(evalrun: Mapping[str, object]) -> str:
    """Return where the HTML report lies: a path for a local one; empty if there is none yet."""
    for artifact in fields.items(evalrun, "status", "artifacts"):
        uri = fields.text(artifact, "uri")
        if fields.text(artifact, "name") == "report" or uri.endswith(".html"):
            parts = urlsplit(uri)
            return unquote(parts.path) if parts.scheme == "file" else uri
    return ""


def _title(evalrun: Mapping[str, object]) -> str:
    subject = fields.text(evalrun, "status", "subjectRevision") or "the candidate"
    baseline = fields.text(evalrun, "status", "baselineRevision")
    against = f" against {baseline}" if baseline else ""
    return f"{fields.name(evalrun)}: {subject}{against}"


def _interval_name(evalrun: Mapping[str, object]) -> str:
    """Return the interval's name, with its level where all criteria share one."""
    criteria = fields.items(evalrun, "spec", "criteria")
    levels = {fields.text(each, "relative", "confidence", default="0.95") for each in criteria}
    return f"{float(levels.pop()) * 100:g} % interval" if len(levels) == 1 else "interval"


def _requirement(criterion: Object) -> Text:
    """Return the metric, and what must hold of it."""
    text = Text(fields.text(criterion, "metric"))
    absolute = fields.mapping(criterion, "absolute")
    demands = []
    if absolute:
        operator = fields.text(absolute, "operator")
        demands.append(f"{_OPERATORS.get(operator, operator)} {fields.text(absolute, 'value')}")
    for field, meaning in (("minImprovement", "better by ≥"), ("maxRegression", "worse by ≤")):
        value = fields.text(criterion, "relative", field)
        if value:
            demands.append(f"{meaning} {value}")
    return text.append(f" {', '.join(demands)}", style="dim") if demands else text


def _row(criterion: Object, result: Object) -> list[Text | str]:
    said = fields.text(result, "verdict", default="…")
    low, high = _number(result, "ciLow"), _number(result, "ciHigh")
    is_difference = bool(_number(result, "delta"))
    shown = (_signed(low), _signed(high)) if is_difference else (low, high)
    return [
        fields.text(criterion, "name"),
        _requirement(criterion),
        _number(result, "baseline"),
        _number(result, "value"),
        _signed(_number(result, "delta")),
        f"[{shown[0]}, {shown[1]}]" if low and high else "",
        Text(said, style=COLOURS.get(said, "dim")),
        fields.text(result, "samples"),
    ]


def _number(result: Object, field: str) -> str:
    """Return a decimal with at most four digits after the point; as it is if it is none."""
    text = fields.text(result, field)
    try:
        return f"{float(text):.4g}" if text else ""
    except ValueError:
        return text


def _signed(number: str) -> str:
    return number if not number or number.startswith(("-", "+")) or number == "0" else f"+{number}"

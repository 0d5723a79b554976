"""The printed report: stored tasks, published envelopes, refused lines."""

import json
from collections.abc import Iterator, Mapping
from textwrap import wrap

from attrs import frozen

from domainkit import DomainError, DomainEvent, InvalidMessage, JsonValue

from .domain import Task


@frozen
class Report:
    """What became of the lines of a file; the refused ones by their number, counted from 1."""

    stored: tuple[Task, ...]
    published: tuple[DomainEvent, ...]
    refused: Mapping[int, DomainError]


def render(report: Report, width: int) -> Iterator[str]:
    """Return the report in blocks of text, `width` columns wide where words allow it."""
    yield f"Stored tasks: {len(report.stored)}\n"
    yield from map(_task, report.stored)
    yield f"\nPublished envelopes: {len(report.published)}\n"
    yield from (f"  {_json(json.loads(event.json()), width, indent=2)}" for event in report.published)
    yield f"\nRefused lines: {len(report.refused)}\n"
    for number, error in report.refused.items():
        yield from _refusal(number, error, width)


def _task(task: Task) -> str:
    labels = "".join(f"  #{label.value}" for label in task.labels)
    return f"  {task.due or 'some day'!s:<12}{task.title.value}{labels}"


def _json(value: JsonValue, width: int, *, indent: int) -> str:
    """Return `value` as JSON: on one line where it fits, else with its members below one another."""
    flat = json.dumps(value, ensure_ascii=False)
    if indent + len(flat) <= width or not isinstance(value, Mapping):
        return flat
    members = [f'"{key}": {_json(member, width, indent=indent + len(key) + 5)}' for key, member in value.items()]
    return "{" + (",\n" + " " * (indent + 1)).join(members) + "}"


def _refusal(number: int, error: DomainError, width: int) -> Iterator[str]:
    """Return each reason, behind the path where it applies."""
    reasons = [("", error.detail())]
    if isinstance(error, InvalidMessage):
        reasons = [(f"{one.path:<29}", f"expected {one.expected} ({one.code})") for one in error.problems]
    lead = f"  line {number}"
    for path, reason in reasons:
        before = f"{lead:<11}{path}"
        yield from wrap(reason, width, initial_indent=before, subsequent_indent=" " * len(before))
        lead = ""

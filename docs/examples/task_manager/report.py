"""The printed report: stored tasks, delivered events, refused lines, and the state of the outbox."""

import json
from collections.abc import Iterator, Mapping
from textwrap import wrap

from attrs import frozen

from domainkit import DomainError, DomainEvent, InvalidMessage, JsonValue

from .delivery import Delivery
from .domain import Reminder, Task


@frozen
class Report:
    """Outcome of the lines of a file; refused lines are listed by number, counted from 1."""

    stored: tuple[Task, ...]
    delivery: Delivery
    reminders: tuple[Reminder, ...]
    refused: Mapping[int, DomainError]


def render(report: Report, width: int) -> Iterator[str]:
    """Return the report in blocks of text, at most `width` columns wide unless a word is longer."""
    yield from _section("Stored tasks", [_task(task) for task in report.stored])
    yield from _section("Delivered envelopes", [_envelope(event, width) for event in report.delivery.events])
    yield from _section("Reminders", [_reminder(reminder) for reminder in report.reminders])
    yield from _outbox(report.delivery)
    refusals = [_refusal(number, error, width) for number, error in report.refused.items()]
    yield from _section("Refused lines", refusals)


def _section(title: str, blocks: list[str]) -> Iterator[str]:
    yield f"{title}: {len(blocks)}\n"
    if blocks:
        yield from (*blocks, "")


def _task(task: Task) -> str:
    labels = "".join(f"  #{label.value}" for label in task.labels)
    return f"  {task.due or 'some day'!s:<12}{task.title.value}{labels}"


def _reminder(reminder: Reminder) -> str:
    return f"  {reminder.day!s:<12}{reminder.title.value}"


def _envelope(event: DomainEvent, width: int) -> str:
    return "  " + _json(json.loads(event.json()), width, indent=2)


def _outbox(delivery: Delivery) -> Iterator[str]:
    yield "Relay: {} sent in a first round, {} in a second".format(*delivery.rounds)
    yield f"Outbox: {delivery.status.sent} sent, {delivery.status.waiting} waiting, {delivery.status.parked} parked\n"


def _json(value: JsonValue, width: int, *, indent: int) -> str:
    """Return `value` as JSON: on one line if it fits, else with one member on each line."""
    flat = json.dumps(value, ensure_ascii=False)
    if indent + len(flat) <= width or not isinstance(value, Mapping):
        return flat
    members = [f'"{key}": {_json(member, width, indent=indent + len(key) + 5)}' for key, member in value.items()]
    return "{" + (",\n" + " " * (indent + 1)).join(members) + "}"


def _refusal(number: int, error: DomainError, width: int) -> str:
    """Return the path and reason of each problem."""
    reasons = [("", error.detail())]
    if isinstance(error, InvalidMessage):
        reasons = [(f"{one.path:<29}", f"expected {one.expected} ({one.code})") for one in error.problems]
    leads = [f"  line {number}", *[""] * (len(reasons) - 1)]
    rows = zip(leads, reasons, strict=True)
    return "\n".join(_row(f"{lead:<11}{path}", reason, width) for lead, (path, reason) in rows)


def _row(before: str, text: str, width: int) -> str:
    return "\n".join(wrap(text, width, initial_indent=before, subsequent_indent=" " * len(before)))

"""Claims of the documentation that its own examples don't show; and type checkers accept the examples.

The examples themselves run where they stand: see docs/conftest.py.
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from attrs import frozen
from checkers import DOCS, PAGES, errors_of, examples

from domainkit import DEFAULT_HTTP_ERROR_MAP, DomainEvent, InvalidMessage

REFUSED = r"# refused by (mypy and )?{0}\b"
"""Stands in the documentation behind code that is wrong on purpose."""


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_checkers_refuse_just_what_the_pages_say(checker: str) -> None:
    """Both mypy --strict and pyright accept each example, but for the lines that a page calls refused."""
    pages = {module: page for module, page in examples().items() if page.is_relative_to(DOCS)}
    marked = {
        (module, number)
        for module in pages
        for number, line in enumerate(module.read_text("utf-8").splitlines(), start=1)
        if re.search(REFUSED.format(checker), line)
    }
    found = {(file, line): text for file in pages for line, text in errors_of(checker).get(file, {}).items()}

    assert len(marked) >= 3
    assert {} == {place: text for place, text in found.items() if place not in marked}, "refused, not marked"
    assert set() == marked - found.keys(), "marked, not refused"


def test_no_example_takes_a_value_for_any() -> None:
    """A bare `case Success(value)` gives Any under mypy: it stands on the page that explains that, and nowhere else."""
    examples_of_use = [*PAGES, *(DOCS / "examples").rglob("*.py")]
    bare = re.compile(r"^ *case (?:Success|Failure)\(\w+\)", re.MULTILINE)
    assert ["results.md"] == [file.name for file in examples_of_use if bare.search(file.read_text("utf-8"))]


def envelope(cls: type[DomainEvent], attributes: str, occurred_on: str = "2021-12-28 14:11:47.845618") -> str:
    """Return the JSON of an event with these attributes."""
    info, id_text = cls.info(), "3a4d78aa-6870-41cb-aa14-964831511d86"
    head = f'"id": "{id_text}", "type": "{info.name}", "type_message": "{info.kind}", "version": {info.version}'
    return f'{{"data": {{{head}, "occurred_on": "{occurred_on}", "attributes": {attributes}}}}}'


@frozen
class Counted(DomainEvent):
    """An event with an int."""

    value: int


@frozen
class Measured(DomainEvent):
    """An event with a float and a moment."""

    value: float
    at: datetime | None = None


@frozen
class Said(DomainEvent):
    """An event with a text."""

    value: str


@frozen
class Listed(DomainEvent):
    """An event with a set."""

    value: frozenset[int]


WRONG_INTEGERS = ['"5"', "1.0", "true", "1e2", "null"]


@pytest.mark.parametrize(
    ("cls", "attributes"),
    [
        *((Counted, f'{{"value": {wrong}}}') for wrong in WRONG_INTEGERS),
        (Counted, "{}"),
        (Measured, '{"value": 1e400}'),
        (Measured, '{"value": 1, "at": "2021-12-28T14:11:47"}'),
        (Measured, '{"value": 1, "at": "2021-12-28T14:11:47.1234567Z"}'),
        (Listed, '{"value": [1, 1]}'),
        (Counted, '{"value": 1, "more": ' + "[" * 70 + "]" * 70 + "}"),
    ],
)
def test_what_the_wire_form_says_is_not_read(cls: type[DomainEvent], attributes: str) -> None:
    """Another type, a missing attribute, an infinite float, a naive or too fine datetime, an item twice, depth."""
    with pytest.raises(InvalidMessage):
        cls.from_json(envelope(cls, attributes))


@pytest.mark.parametrize(
    "event",
    [
        Counted(10**4300),
        Measured(float("inf")),
        Measured(2**53 + 1),
        Measured(1.5, at=datetime(2021, 12, 28, tzinfo=timezone(timedelta(seconds=30)))),
        Said("\ud800"),
    ],
    ids=["int", "float", "int for a float", "datetime", "text"],
)
def test_what_the_wire_form_says_is_not_written(event: DomainEvent) -> None:
    """4,301 digits, an infinite float, an int that no float equals, an offset of 30 seconds, a lone surrogate."""
    with pytest.raises(InvalidMessage):
        event.json()


def test_what_the_wire_form_says_is_read() -> None:
    """4,300 digits, an int for a float, the last of two keys, an unknown key, an offset."""
    huge = Counted(10**4299)
    late = Counted.from_json(envelope(Counted, '{"value": 1}', "2021-12-28T15:11:47.845618+01:00"))

    assert huge == Counted.from_json(huge.json())
    assert 1.0 == Measured.from_json(envelope(Measured, '{"value": 1}')).value
    assert 2 == Counted.from_json(envelope(Counted, '{"value": 1, "value": 2, "more": 3}')).value
    assert datetime(2021, 12, 28, 14, 11, 47, 845618, tzinfo=UTC) == late.header.occurred_on


def test_what_the_wire_form_says_of_wall_times() -> None:
    """A wall time of a zone comes back equal, but for the hour that occurs twice: in it the moment is the same."""
    zone = ZoneInfo("Europe/Berlin")
    plain, repeated = (
        Measured(1.0, at=datetime(2021, 7, 1, 2, 30, tzinfo=zone)),
        datetime(2021, 10, 31, 2, 30, tzinfo=zone),
    )
    assert plain == Measured.from_json(plain.json())
    for moment in (repeated, repeated.replace(fold=1)):
        found = Measured.from_json(Measured(1.0, at=moment).json()).at
        assert found is not None
        assert moment != found
        assert (moment.astimezone(UTC), moment.utcoffset()) == (found.astimezone(UTC), found.utcoffset())


def test_statuses_are_those_of_the_table() -> None:
    """The page of errors says which status an error has."""
    table = re.findall(r"^\| (`.*`.*) \| (\d{3}) \|$", (DOCS / "how-to" / "errors.md").read_text("utf-8"), re.MULTILINE)
    said = {name: int(status) for names, status in table for name in re.findall(r"`(\w+)`", names)}
    known = {cls.__name__: error.status_code for cls, error in DEFAULT_HTTP_ERROR_MAP.items()}

    assert said == known | {"AggregateVersionConflictError": 409}

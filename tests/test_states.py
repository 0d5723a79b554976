"""The state of an aggregate as text: in the wire form, and in that of a converter."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from attrs import evolve, field, frozen
from attrs.validators import le
from cattrs import Converter
from cattrs.gen import make_dict_structure_fn
from every_kind import Title
from forms import Text

from domainkit import AggregateRoot, Attributes, InmemoryCrudRepository, Uuid, configure_converter, make_converter
from domainkit.states import StateForm, StateUpcaster, StoredStateError, state_form


class PageId(Uuid): ...


class Money:
    """A class of somebody else."""

    def __init__(self, cents: int) -> None:
        self.cents = cents


@frozen
class Line:
    text: str


@frozen
class Page(AggregateRoot[PageId]):
    line: Line
    title: Title | None = None


@pytest.mark.parametrize("converter", [None, make_converter()], ids=["wire", "converter"])
def test_text_of_a_subclass_is_stored_as_text(converter: Converter | None) -> None:
    """The fast path doesn't write it; the slow path does."""
    form, page = state_form(Page, converter), Page(Line(Text("a")), Title("b"))
    written = form.write(page)
    assert {"line": {"text": "a"}, "title": "b"} == json.loads(written)
    assert page == form.read(written, page.aggregate_id, page.aggregate_version)


@pytest.mark.parametrize("wrong", [int, str, Line, Title, 5])
def test_what_is_no_aggregate(wrong: Any) -> None:
    """The state of something else has no form; a repository in memory says so when it is to save one."""
    with pytest.raises(TypeError, match=r"^state: expected a class of aggregates, got .+; derive it"):
        state_form(wrong, None)
    repository: Any = InmemoryCrudRepository()
    for call in (repository.save, repository.update):
        with pytest.raises(TypeError, match=r"^state: expected a class of aggregates, got int; derive it"):
            call(5)


@frozen
class Bill(AggregateRoot[PageId]):
    line: Line
    money: Money


def test_an_error_of_a_hook_has_its_path() -> None:
    """The text of an error of cattrs is reported, and so is that of a user's hook, without the value."""
    converter = Converter()
    configure_converter(converter)
    converter.register_structure_hook(Money, lambda money, _: Money(money["cents"]))
    converter.register_unstructure_hook(Money, lambda money: {"cents": money.cents})
    converter.register_structure_hook(Bill, make_dict_structure_fn(Bill, converter, _cattrs_forbid_extra_keys=False))
    form = state_form(Bill, converter)
    bill = Bill(Line("a"), Money(5))
    with pytest.raises(StoredStateError) as caught:
        form.read('{"money":{"cent":5}}', bill.aggregate_id, 1)
    assert [("$.line", "missing"), ("$.money", "missing")] == sorted(
        (problem.path, problem.code) for problem in caught.value.problems
    )
    assert "cent" not in str(caught.value)


@frozen
class Limited(AggregateRoot[PageId]):
    count: int = field(validator=le(5))


def test_what_a_constructor_refuses_is_told_of_the_whole() -> None:
    """Cattrs doesn't know of which field a validator spoke."""
    converter = make_converter()
    converter.register_structure_hook(Limited, make_dict_structure_fn(Limited, converter))
    with pytest.raises(StoredStateError) as caught:
        state_form(Limited, converter).read('{"count":6}', PageId.v4(), 1)
    assert [("$", "value")] == [(problem.path, problem.code) for problem in caught.value.problems]


@frozen
class Note(AggregateRoot[PageId]):
    """A note: its state was `{"text": ...}`, then `{"lines": ...}`, and has an author today."""

    lines: tuple[str, ...] = ()
    author: str = "unknown"


@frozen
class Blank(AggregateRoot[PageId]): ...


def split(state: Attributes) -> Attributes:
    """Return version 2 of a note's state."""
    return {"lines": tuple(str(state["text"]).split("\n"))}


def signed(state: Attributes) -> Attributes:
    """Return version 3 of a note's state."""
    return {**state, "author": "Ada"}


FORMS = [state_form(Note, converter, [split, signed]) for converter in (None, make_converter())]


@pytest.mark.parametrize("form", FORMS, ids=["wire", "converter"])
@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ('{"text":"a\\nb"}', Note(("a", "b"), "Ada")),
        ('{"$version":1,"text":"a"}', Note(("a",), "Ada")),
        ('{"$version":2,"lines":["a"]}', Note(("a",), "Ada")),
        ('{"$version":3,"lines":["a"],"author":"Eve"}', Note(("a",), "Eve")),
        ('{"author": "Eve", "lines": [], "$version": 3}', Note((), "Eve")),
        ('{"$version":3}', Note()),
    ],
)
def test_a_state_of_an_old_version_is_lifted(form: StateForm[Note], state: str, expected: Note) -> None:
    """Each function from the version of the state on is called, in their order; one without a version is the first."""
    found = form.read(state, expected.aggregate_id, 7)

    assert evolve(expected, aggregate_version=7) == found
    assert found == form.read(form.write(found), found.aggregate_id, 7)


@pytest.mark.parametrize("form", FORMS, ids=["wire", "converter"])
def test_a_state_is_written_with_its_version(form: StateForm[Note]) -> None:
    """The version stands before the fields; without upcasters there is none, as ever."""
    blank = state_form(Blank, None, [signed])
    assert '{"$version":3,"lines":["a"],"author":"Eve"}' == form.write(Note(("a",), "Eve"))
    assert '{"$version":2}' == blank.write(Blank())
    assert "{}" == state_form(Blank, None).write(Blank())


@pytest.mark.parametrize("version", ["0", "4", "true", '"1"', "1.0", "null"])
def test_a_version_that_nobody_knows_is_refused(version: str) -> None:
    """A state that newer code has written is not read as something else."""
    with pytest.raises(StoredStateError, match=r"\$\.\$version: expected a version from 1 to 3"):
        FORMS[0].read(f'{{"$version":{version},"lines":[]}}', PageId.v4(), 1)


def returned(made: object) -> StateUpcaster:
    """Return an upcaster that returns something, or raises it."""

    def upcaster(state: Attributes) -> Any:
        if isinstance(made, Exception):
            raise made
        return made

    return upcaster


@pytest.mark.parametrize("made", [ValueError("hush"), None, ["hush"], {"lines": {"hush"}}])
def test_an_upcaster_that_refuses_a_state_is_named(made: object) -> None:
    """It raises, or returns what no state can be; the error doesn't show what was stored."""
    form = state_form(Note, None, [signed, returned(made)])
    with pytest.raises(StoredStateError) as refused:
        form.read('{"text":"hush"}', PageId.v4(), 1)

    assert "$: expected a state that the upcaster from version 2 takes" in str(refused.value)
    assert "hush" not in str(refused.value)


@frozen
class Booking(AggregateRoot[PageId]):
    """An aggregate with a field that isn't stored, whose validator checks the fields together."""

    first: int
    last: int
    seats: Mapping[str, int] = field(init=False, default={"front": 2})

    @seats.validator
    def _check_order(self, _: object, seats: Mapping[str, int]) -> None:
        if self.last < self.first:
            raise ValueError("first is after last")


def test_a_field_that_is_not_stored_has_its_default_and_its_rule() -> None:
    """A state is read as the constructor would make it, in each version that a constructor takes."""
    form, booking = state_form(Booking, None), Booking(1, 2)
    written = form.write(booking)
    assert '{"first":1,"last":2}' == written
    found = form.read(written, booking.aggregate_id, 7)
    assert (7, {"front": 2}, ()) == (found.aggregate_version, found.seats, found.domain_events)
    with pytest.raises(TypeError, match="read-only"):
        found.seats["front"] = 3  # type: ignore[index]  # refused at run time too
    with pytest.raises(StoredStateError):
        form.read('{"first":2,"last":1}', booking.aggregate_id, 7)
    for version in (0, -1, True, "1", None):
        wrong: Any = version
        with pytest.raises(StoredStateError, match="aggregate_version"):
            form.read(written, booking.aggregate_id, wrong)

"""The state of an aggregate as text: in the wire form, and in that of a converter."""

import json
from typing import Any

import pytest
from attrs import field, frozen
from attrs.validators import le
from cattrs import Converter
from cattrs.gen import make_dict_structure_fn
from every_kind import Title
from forms import Text

from domainkit import AggregateRoot, InmemoryCrudRepository, Uuid, configure_converter, make_converter
from domainkit.states import StoredStateError, state_form


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
    """The fast way doesn't write it; the way that explains does."""
    form, page = state_form(Page, converter), Page(Line(Text("a")), Title("b"))
    written = form.write(page)
    assert {"line": {"text": "a"}, "title": "b"} == json.loads(written)
    assert page == form.read(written, page.aggregate_id, page.aggregate_version)


@pytest.mark.parametrize("wrong", [int, str, Line, Title, 5])
def test_what_is_no_aggregate(wrong: Any) -> None:
    """The state of something else has no form; a repository in memory says so when it is to save one."""
    with pytest.raises(TypeError, match=r"^expected an aggregate, got .+: derive the class from AggregateRoot$"):
        state_form(wrong, None)
    repository: Any = InmemoryCrudRepository()
    for call in (repository.save, repository.update):
        with pytest.raises(TypeError, match=r"^expected an aggregate, got int: derive the class from AggregateRoot$"):
            call(5)


@frozen
class Bill(AggregateRoot[PageId]):
    line: Line
    money: Money


def test_an_error_of_a_hook_has_its_path() -> None:
    """What a function of cattrs says is told, and so is what a hook of the user's raises, without the value."""
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

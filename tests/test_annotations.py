"""Annotations of a class if a function computes them: from Python 3.14 on (PEP 649), and simulated before."""

import sys
from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Annotated, Any, ClassVar, Final, Literal

import pytest

from domainkit._model import annotations
from domainkit._model.annotations import UnresolvedAnnotationError, own_annotations, type_of

NAMED = (Annotated, ClassVar, Final, Literal, Mapping, date, datetime)
"""Names used in the texts, so that they are imported."""

TEXTS: dict[str, str] = {
    "date": "date",
    "maybe": "datetime | None",
    "kind": "ClassVar[str]",
    "last": "Final[int]",
    "noted": 'Annotated[Mapping[str, "date"], "by day"]',
    "size": 'Literal["date"]',
    "later": "tuple[Later, ...] | None",
}
"""Fields that are called as types of the module are, and one whose type isn't defined yet."""


class Held:
    """A class whose annotations are computed by `texts`."""

    date = None
    maybe = None
    texts: Callable[..., Mapping[str, str]]


def by_function(cls: type) -> FunctionType | None:
    """Return the function that stands for `__annotate__`, where Python has none."""
    found: FunctionType | None = vars(cls).get("texts")
    return found


@pytest.fixture
def deferred(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let classes be asked by a function of theirs."""
    monkeypatch.setattr(annotations, "_annotate_of", by_function)
    monkeypatch.setattr(annotations, "get_annotations", lambda cls, **_: vars(cls).get("texts", dict)())


@pytest.mark.usefixtures("deferred")
class TestDeferred:
    def test_types(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each annotation is looked up by itself: in the module, and not among the fields."""
        monkeypatch.setattr(Held, "texts", lambda: TEXTS, raising=False)
        assert date is type_of(Held, "date")
        assert datetime | None == type_of(Held, "maybe")
        assert int is type_of(Held, "last")
        assert Annotated[Mapping[str, date], "by day"] == type_of(Held, "noted")
        assert Literal["date"] == type_of(Held, "size")
        assert TEXTS.keys() - {"kind"} == set(own_annotations(Held))
        with pytest.raises(UnresolvedAnnotationError, match=r"^Held\.later: the annotation 'tuple\[Later, \.\.\.\] "):
            type_of(Held, "later")

    def test_names_of_the_function_around(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Names of the function around the class are resolved as soon as they are bound."""
        text, later = computed()
        monkeypatch.setattr(Held, "texts", text, raising=False)
        assert bytes is type_of(Held, "now")
        with pytest.raises(UnresolvedAnnotationError, match=r"later: the annotation 'Later' names something"):
            type_of(Held, "later")
        later(bytearray)
        assert bytearray is type_of(Held, "later")

    def test_names_of_a_class_that_exec_made(self) -> None:
        """Global names are those that the body of the class had, whatever module its class names."""
        names: dict[str, Any] = {"__name__": __name__, "Own": bytes}
        exec("class Made:\n    texts = lambda: {'own': 'Own'}", names)
        assert bytes is type_of(names["Made"], "own")


def computed() -> tuple[Callable[..., Mapping[str, str]], Callable[[type], None]]:
    """Return what computes annotations that name variables of this function, and what defines the second of them."""
    Now: type = bytes  # noqa: N806  # they are classes
    Later: type = int  # noqa: N806

    def texts() -> Mapping[str, str]:
        _ = lambda: (Now, Later)  # noqa: E731, F821  # so that they are its free variables
        return {"now": "Now", "later": "Later"}

    def define(cls: type) -> None:
        nonlocal Later
        Later = cls  # noqa: N806

    del Later
    return texts, define


ON_3_14 = """
from attrs import frozen
from collections.abc import Mapping
from datetime import date, datetime
from domainkit import DomainEvent, ValueObject

@frozen
class Planned(DomainEvent):
    date: date
    datetime: datetime | None = None
    titles: tuple[Title, ...] = ()
    by_name: Mapping[str, Title] | None = None

class Title(ValueObject[str]): ...

def local():
    @frozen
    class Inside(DomainEvent):
        size: Size
        sizes: tuple[Size | None, ...] = ()

    class Size(ValueObject[int]): ...
    made = Inside(Size(3), (None, Size(4)))
    assert made == Inside.from_json(made.json())

planned = Planned(date(2021, 12, 28), None, (Title("a"),), {"a": Title("b")})
assert planned == Planned.from_json(planned.json())
local()
"""


@pytest.mark.skipif(sys.version_info < (3, 14), reason="Python 3.14 is the first that computes annotations when asked")
def test_on_python_3_14(monkeypatch: pytest.MonkeyPatch) -> None:
    """There messages of classes that are defined further down, also inside of a function, are written and read."""
    module = ModuleType("written_for_3_14")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    names: dict[str, Any] = vars(module)
    exec(compile(ON_3_14, str(Path(__file__)), "exec", dont_inherit=True), names)

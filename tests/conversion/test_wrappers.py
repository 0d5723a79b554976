"""Value objects, unions, constraints, hooks and classes that hold themselves."""

import json
from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

import pytest
from attrs import Attribute, field, frozen
from attrs.validators import matches_re, max_len
from every_kind import Level, OrderId, Quantity, Title
from holders import PATH, envelope, holder, problems_of, read, refused, rewritten, unwritable, wrapper
from msgspec import Meta

from domainkit import DomainError, InvalidValueObject, MessageCodec, NotAllowed, ValueObject, make_converter
from domainkit.conversion.nodes import Problems
from domainkit.conversion.wrappers import HookNode
from domainkit.messages import wire_of

SECRET = "hunter2-secret"


class Refusal(DomainError): ...


def _refuse(_: object, __: "Attribute[Any]", value: str) -> None:
    if value.startswith("library"):
        raise InvalidValueObject(additional_info={"message": f"Password of {len(value)} characters"})
    if value.startswith("domain"):
        raise Refusal(additional_info={"message": value})
    if value.startswith("bare"):
        raise NotAllowed
    raise RuntimeError(value)


@frozen
class Password(ValueObject[str]):
    value: str = field(validator=_refuse)


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("library", "a valid Password: Password of 21 characters"),
        ("domain", "a valid Password (Refusal)"),
        ("bare", "a valid Password: NotAllowed"),
        ("other", "a valid Password: a validator refused the value (RuntimeError)"),
    ],
)
def test_a_refusal_by_a_validator_never_shows_the_value(start: str, expected: str) -> None:
    """The problem has the reason that an error gives, or the name of its class; not a text that repeats the value."""
    problems = refused(holder(Password), start + SECRET)
    assert SECRET not in str(problems)
    assert [(PATH, "value")] == [(problem.path, problem.code) for problem in problems]
    assert expected == problems[0].expected


def test_a_wrong_type_names_the_value_object() -> None:
    """The problem gives the name of the value object, and the type that it wraps."""
    assert "Title (str)" == refused(holder(Title), 5)[0].expected
    assert "OrderId (a UUID)" == refused(holder(OrderId), "x")[0].expected


def test_value_objects_of_collections_unions_and_value_objects() -> None:
    """A value object may wrap anything that has a wire form; problems inside of it keep their paths."""
    titles, either, inner = wrapper(tuple[Title, ...]), wrapper(int | str), wrapper(Title)
    assert ["a"] == rewritten(titles((Title("a"),)), titles)
    assert [(f"{PATH}[0]", "value")] == [(p.path, p.code) for p in refused(holder(titles), [""])]
    assert 5 == rewritten(either(5), either)
    assert "x" == rewritten(either("x"), either)
    assert "a" == rewritten(inner(Title("a")), inner)


def _stripped(text: str) -> str:
    return text.strip()


@frozen
class Stripped(ValueObject[str]):
    value: str = field(converter=_stripped, validator=max_len(3))


@frozen
class Checked(ValueObject[str]):
    value: str

    def __attrs_post_init__(self) -> None:
        if not self.value:
            raise ValueError("empty")


def test_value_objects_with_a_converter_or_hooks_are_made_by_their_constructor() -> None:
    """Converters and hooks of attrs run on decoding as well."""
    assert Stripped("abc") == read(holder(Stripped), " abc ")
    assert ["value"] == [problem.code for problem in refused(holder(Stripped), "abcd")]
    assert Checked("a") == read(holder(Checked), "a")
    assert ["value"] == [problem.code for problem in refused(holder(Checked), "")]


@frozen
class Code(ValueObject[str]):
    value: str = field(validator=matches_re(r"[A-Z]{3}"))


def test_validators_of_attrs_run_on_decoding() -> None:
    """matches_re, lengths and bounds are checked in place, with the same outcome as in the constructor."""
    assert Code("ABC") == read(holder(Code), "ABC")
    for text in ("abc", "ABCD", "AB"):
        assert ["value"] == [problem.code for problem in refused(holder(Code), text)]


@frozen
class Chain:
    number: int
    following: "Chain | int | str | None" = None


@frozen
class Left:
    right: "Right | None"


@frozen
class Right:
    lefts: tuple[Left, ...] = ()
    by_name: Mapping[str, Left] = field(factory=dict)


RECURSIVE = [
    (Chain, Chain(1, Chain(2, Chain(3, 4)))),
    (Chain, Chain(1, "end")),
    (Left, Left(Right((Left(None), Left(Right()))))),
    (Right, Right((), {"a": Left(Right((), {"b": Left(None)}))})),
]


@pytest.mark.parametrize(("cls", "value"), RECURSIVE)
def test_classes_that_hold_themselves(cls: type, value: object) -> None:
    """A class inside itself, alone, in unions of several kinds and through another class, comes back equal."""
    rewritten(value, cls)


def test_a_class_inside_itself_is_looked_at_to_the_bottom() -> None:
    """Problems deep inside have their whole paths, both ways."""
    value = {"number": 1, "following": {"number": 2, "following": {"number": "3"}}}
    assert [f"{PATH}.following.following.number"] == [problem.path for problem in refused(holder(Chain), value)]
    problems = unwritable(holder(Chain), Chain(1, Chain(2, Chain("3"))))  # type: ignore[arg-type]  # wrong on purpose
    assert [f"{PATH}.following.following.number"] == [problem.path for problem in problems]


def test_a_value_object_around_a_class_that_holds_it() -> None:
    """The kind of what is wrapped is known in unions, also where it is the class that is being looked at."""

    class Only(ValueObject["Ring"]): ...

    globals()["Only"], globals()["Ring"] = Only, Ring
    try:
        rewritten(Ring(Only(Ring(5))), Ring)
    finally:
        del globals()["Only"], globals()["Ring"]


@frozen
class Ring:
    inner: "Only | int | None"  # type: ignore[name-defined]  # noqa: F821  (made in the test)


def test_objects_that_hold_one_another_for_ever_are_not_written() -> None:
    """Too deep an object is an InvalidMessage with the code `limit`, and no RecursionError."""
    chain = Chain(0)
    for number in range(5000):
        chain = Chain(number, chain)
    assert ["limit"] == [problem.code for problem in problems_of(holder(Chain)(chain).json)]


def test_problems_inside_of_a_union_member_are_kept() -> None:
    """If the member is known by its class, its own problems are listed; else the union is expected as a whole."""
    cls = holder(Chain | int | None)
    assert [(f"{PATH}.number", "type")] == [
        (problem.path, problem.code)
        for problem in unwritable(cls, Chain("1"))  # type: ignore[arg-type]  # wrong on purpose
    ]
    assert [(PATH, "Chain or int or None", "type")] == [
        (problem.path, problem.expected, problem.code) for problem in unwritable(cls, "x")
    ]
    assert 1 == rewritten(Level.LOW, int | None)


def test_no_more_problems_than_the_limit_in_a_union() -> None:
    """The limit of problems holds inside of a union too."""
    node = wire_of(holder(tuple[int, ...] | None)).node.parts[0].node
    problems = Problems(3)
    node.write(("x",) * 9, "$", problems)
    assert 3 == len(problems)


CONSTRAINED = [
    (Annotated[int, Meta(ge=1, le=3)], 3, 0),
    (Annotated[int, Meta(multiple_of=5)], 10, 11),
    (Annotated[float, Meta(gt=0)], 0.5, 0.0),
    (Annotated[str, Meta(pattern="^[a-z]+$")], "abc", "ABC"),
    (Annotated[bytes, Meta(max_length=2)], b"ab", b"abc"),
    (Annotated[Title, Meta(max_length=3)], Title("abc"), Title("abcd")),
    (Annotated[tuple[Title, ...], Meta(min_length=1)], (Title("a"),), ()),
    (Annotated[frozenset[int], Meta(max_length=0)], frozenset(), frozenset({1})),
    (Annotated[Mapping[OrderId, int], Meta(min_length=1)], {OrderId(UUID(int=1)): 1}, {}),
    (Annotated[int, Meta(ge=1)] | None, None, 0),
    (tuple[Annotated[int, Meta(ge=1)], ...], (1,), (1, 0)),
    (Annotated[Annotated[int, Meta(ge=1)], Meta(le=3)], 2, 4),
]


@pytest.mark.parametrize(("hint", "fine", "wrong"), CONSTRAINED)
def test_constraints_hold_both_ways(hint: Any, fine: object, wrong: object) -> None:
    """A value that breaks a constraint of `msgspec.Meta` is neither written nor read."""
    rewritten(fine, hint)
    assert ["value"] == [problem.code for problem in unwritable(holder(hint), wrong)]


def test_a_constraint_is_looked_at_after_the_type() -> None:
    """A value of another type is a problem of its type."""
    assert ["type"] == [problem.code for problem in unwritable(holder(Annotated[int, Meta(ge=1)]), "x")]
    assert ["value"] == [problem.code for problem in unwritable(holder(Annotated[str, Meta(min_length=1)]), "\ud800")]


def test_a_meta_that_describes_refuses_nothing() -> None:
    """Title, description and examples are for the schema alone, beside a class too."""
    hint = Annotated[Chain, Meta(description="a chain", examples=[])]
    rewritten(Chain(1), hint)
    rewritten(10**30, Annotated[int, Meta(title="n")])


@frozen
class Bounded:
    name: str
    parts: Annotated[tuple["Bounded", ...], Meta(max_length=2)] = ()


def test_constraints_in_a_class_that_holds_itself() -> None:
    """A constraint of the length of what is being looked at holds as any other."""
    rewritten(Bounded("a", (Bounded("b"), Bounded("c"))), Bounded)
    assert [f"{PATH}.parts"] == [p.path for p in unwritable(holder(Bounded), Bounded("a", (Bounded("b"),) * 3))]


class Money:
    """A class that neither attrs nor this library knows."""

    def __init__(self, cents: int) -> None:
        self.cents = cents

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and self.cents == other.cents

    __hash__ = None  # type: ignore[assignment]  # nothing here needs it


class Euro(Money): ...


def _hooked(unstructure: Any = lambda money: {"cents": money.cents}) -> Any:
    converter = make_converter()
    converter.register_structure_hook(Money, lambda data, cls: cls(data["cents"]))
    converter.register_unstructure_hook(Money, unstructure)
    return converter


HOOKED = [Money, Money | None, tuple[Money, ...], Mapping[str, Money], Euro]


@pytest.mark.parametrize("hint", HOOKED, ids=str)
def test_a_hook_of_a_users_converter_reads_and_writes_its_class(hint: Any) -> None:
    """A class that only the user's converter knows is carried, with the subclasses that the hook takes."""
    cls = holder(hint)
    codec = MessageCodec(cls, converter=_hooked())
    values = {Money: Money(5), Money | None: None, Euro: Euro(5)}
    value = values.get(hint, (Money(1), Money(2)) if "tuple" in str(hint) else {"a": Money(0)})
    event = cls(value)
    assert event == codec.decode(codec.encode(event)).unwrap()
    assert event == codec.decode_dict(json.loads(codec.encode(event))).unwrap()


def test_a_hook_beside_none() -> None:
    """`None` is None, and all else is the hook's."""
    cls = holder(Money | None)
    codec = MessageCodec(cls, converter=_hooked())
    assert cls(Money(5)).field == codec.decode(codec.encode(cls(Money(5)))).unwrap().field  # type: ignore[attr-defined]  # a Holder


def test_what_a_hook_refuses_is_a_problem_at_its_path() -> None:
    """Whatever a structure hook raises is a problem of the field, without the exception's text."""
    cls = holder(Money)
    problems = MessageCodec(cls, converter=_hooked()).decode_dict(envelope(cls, {"secret": 1})).failure().problems
    assert [(PATH, "Money, as its own hook reads it", "value")] == [(p.path, p.expected, p.code) for p in problems]


def _raise(_: object) -> object:
    raise RuntimeError(SECRET)


@pytest.mark.parametrize(
    "unstructure",
    [lambda _: float("nan"), lambda _: {1}, lambda _: "\ud800", lambda _: {1: 2}, lambda _: object(), _raise],
)
def test_a_hook_that_writes_what_json_cannot_carry(unstructure: Any) -> None:
    """The outcome of an unstructure hook is checked; if it isn't JSON, or the hook raises, the field is refused."""
    cls = holder(Money)
    codec = MessageCodec(cls, converter=_hooked(unstructure))
    problems = problems_of(lambda: codec.encode(cls(Money(5))))
    assert [(PATH, "value")] == [(problem.path, problem.code) for problem in problems]
    assert SECRET not in str(problems)


def test_a_value_of_another_class_does_not_reach_a_hook() -> None:
    """The hook of a class gets its instances alone."""
    cls = holder(Money)
    codec = MessageCodec(cls, converter=_hooked(_raise))
    assert [(PATH, "Money", "type")] == [
        (problem.path, problem.expected, problem.code) for problem in problems_of(lambda: codec.encode(cls(5)))
    ]


def test_a_hook_node_reads_any_kind() -> None:
    """Nothing is known of what a hook reads."""
    assert 7 == len(HookNode(Quantity, (Quantity, lambda value: value)).kinds)

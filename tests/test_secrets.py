"""Secrets: a value that nobody is shown, and that is written only where a field asks for it."""

import copy
import json
import logging
import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import msgspec
import pytest
from attrs import Attribute, field, frozen
from attrs.validators import and_, ge, in_, matches_re, max_len, min_len, not_
from hidden import (
    HUSH,
    REFUSING,
    Account,
    AccountId,
    ByError,
    ByNote,
    ByOptions,
    ByOwnRule,
    ByUnnamedError,
    Key,
    KeyMade,
    KeyRefused,
    KeySent,
    Login,
    StoredAccount,
    WeakKey,
    shows,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from returns.pipeline import is_successful
from returns.result import Failure, Result, Success

from domainkit import (
    AggregateNotFoundError,
    AggregateRoot,
    CriticalError,
    DomainError,
    DomainEvent,
    ErrorMap,
    HttpError,
    InmemoryCrudRepository,
    InmemoryDomainEventBus,
    InmemoryNotifier,
    InPlainText,
    InvalidMessage,
    MessageCodec,
    NaiveAsUtc,
    NotifierExceptionMessage,
    NotifierMessage,
    ProblemOptions,
    Secret,
    Tagged,
    UnsupportedTypeError,
    UseCase,
    ValueObject,
    ValueObjectSerializer,
    make_converter,
    parse,
    problem_details,
    use_case,
)
from domainkit._model.reasons import repeated_by
from domainkit.conversion.definitions import Definitions
from domainkit.conversion.derive import Derivation
from domainkit.formats.asyncapi import asyncapi_document
from domainkit.formats.json_schema import message_schema
from domainkit.states import StoredStateError, state_form
from domainkit.testing.strategies import instances

T = TypeVar("T")
ID = AccountId(UUID(int=7))
KEY = Key(HUSH)
LOGIN = Login("ada", KEY, (KEY,), KEY)
ACCOUNT = Account(login=LOGIN, aggregate_id=ID)


@frozen
class Box(Generic[T]):
    content: T


class Title(ValueObject[str]): ...


class Token(Secret[bytes]): ...


class Pin(Secret[int]): ...


class Ring(Secret[tuple[Key, ...]]): ...


class TestTexts:
    @pytest.mark.parametrize(
        ("made", "text"),
        [
            (KEY, "Key(***)"),
            (ByOptions("sk_one"), "ByOptions(***)"),
            (Token(HUSH.encode()), "Token(***)"),
            (Ring((KEY,)), "Ring(***)"),
            (Secret[str](HUSH), "Secret(***)"),
        ],
    )
    def test_a_secret_has_one_text(self, made: Secret[object, object], text: str) -> None:
        """It is the name of the class with stars, whatever asks for it, and whether a decorator of attrs has a say."""
        assert [text] * 4 == [repr(made), str(made), f"{made}", f"{made:}"]
        assert f"{text:>20}" == f"{made:>20}" == format(made, ">20")

    @pytest.mark.parametrize(
        "holder",
        [
            LOGIN,
            ACCOUNT,
            KeySent(KEY),
            KeyRefused(key=KEY),
            Box(KEY),
            Success(KEY),
            Failure(KeyRefused(key=KEY)),
            (KEY, [KEY], {KEY: KEY}, frozenset({KEY})),
            DomainError(additional_info={"key": KEY}),
        ],
        ids=lambda holder: type(holder).__name__,
    )
    def test_what_holds_one_shows_stars(self, holder: object) -> None:
        """A value object of several fields, an aggregate, a message, an error and a collection show no value."""
        assert [] == shows(holder, f"{holder}")
        assert any(word in repr(holder) for word in ("***", "KeyRefused"))  # the fields of an error aren't shown

    def test_rich_and_ipython(self) -> None:
        """Both look into attrs objects by themselves, or ask for a text of their own; so does hypothesis."""

        class Printer:
            def __init__(self) -> None:
                self.said: list[str] = []

            def text(self, text: str) -> None:
                self.said.append(text)

        printer = Printer()
        getattr(KEY, "_repr_pretty_")(printer, False)  # noqa: B009  # no type has it
        assert ["Key(***)"] == printer.said
        assert ["***"] == [repr(part) for part in getattr(KEY, "__rich_repr__")()]  # noqa: B009  # as above

    def test_rich_itself(self) -> None:
        """Rich prints a value object that holds a secret with stars."""
        pretty = pytest.importorskip("rich.pretty", reason="group bench: rich comes with its libraries")
        said = pretty.pretty_repr(LOGIN)
        assert "Key(***)" in said
        assert [] == shows(said)

    @pytest.mark.parametrize("name", ["__repr__", "__str__", "__format__", "__rich_repr__", "_repr_pretty_"])
    @pytest.mark.parametrize("annotated", [False, True])
    def test_a_text_of_its_own_is_refused(self, name: str, annotated: bool) -> None:
        """A class of secrets can't write one, with a field of its own or without: it would give the value away."""
        body: dict[str, Any] = {name: lambda self, *_: self.value}
        body |= {"__annotations__": {"value": str}} if annotated else {}
        with pytest.raises(TypeError, match=rf"^Loud\.{name}: expected no text method, .* Loud\(\*\*\*\); remove"):
            type("Loud", (Secret,), body)

    def test_a_text_from_another_base(self) -> None:
        """A base beside it gives a secret no text either."""

        class Loud:
            __slots__ = ()

            def __str__(self) -> str:
                return str(getattr(self, "value", ""))

        class LoudKey(Loud, Secret[str]): ...

        @frozen
        class DecoratedKey(Loud, Secret[str]):
            value: str

        assert [] == shows(str(LoudKey(HUSH)), str(DecoratedKey(HUSH)))


class TestValue:
    def test_the_value_comes_out_by_two_names(self) -> None:
        """`reveal()` is `value`, said aloud."""
        assert (HUSH, HUSH) == (KEY.value, KEY.reveal())

    @given(st.text() | st.binary() | st.integers(), st.text() | st.binary() | st.integers())
    def test_equality(self, one: object, other: object) -> None:
        """Secrets are equal if their values are, of whatever type; equal ones have one hash."""
        left, right = Secret[str | bytes | int](one), Secret[str | bytes | int](other)  # type: ignore[arg-type]  # one of them
        assert (one == other) is (left == right)
        assert left == Secret[str | bytes | int](one)  # type: ignore[arg-type]  # as above
        assert hash(left) == hash(Secret[str | bytes | int](one))  # type: ignore[arg-type]  # as above
        assert (one != other) is (left != right)

    @pytest.mark.parametrize(("text", "other"), [("a\ud800", "a\ud801"), ("é", "e"), ("", " ")])
    def test_equality_of_unusual_texts(self, text: str, other: str) -> None:
        """Signs beyond ASCII and lone surrogates are compared too."""
        assert Key(text) == Key(text)
        assert Key(text) != Key(other)

    def test_equality_is_of_just_the_class(self) -> None:
        """A secret never equals one of another class, nor its value."""

        class Other(Secret[str]): ...

        class Derived(Key): ...

        assert not any([Other(HUSH) == KEY, Derived(HUSH) == KEY, HUSH == KEY, KEY == HUSH])  # type: ignore[comparison-overlap]
        assert {Other(HUSH), KEY, Key(HUSH)} == {Other(HUSH), KEY}

    def test_texts_and_bytes_are_compared_in_constant_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Both go through `hmac.compare_digest`; what is neither goes through its own `==`."""
        seen: list[tuple[bytes, bytes]] = []

        def digest(one: bytes, other: bytes) -> bool:
            seen.append((one, other))
            return one == other

        monkeypatch.setattr("domainkit.secrets.compare_digest", digest)
        assert [True, True, True] == [Key("é") == Key("é"), Token(b"a") == Token(b"a"), Pin(5) == Pin(5)]
        assert [("é".encode(), "é".encode()), (b"a", b"a")] == seen

    def test_a_copy_is_a_secret_with_the_value(self) -> None:
        """It can be copied and pickled, alone and in a holder; who has the pickle has the value."""
        for held in (KEY, ByOptions("sk_one"), LOGIN):
            assert held == copy.copy(held) == copy.deepcopy(held) == pickle.loads(pickle.dumps(held))
        assert [] == shows(copy.deepcopy(KEY), pickle.loads(pickle.dumps(KEY)))
        assert HUSH.encode() in pickle.dumps(KEY)

    def test_a_serialized_field_stays_a_secret(self) -> None:
        """`ValueObject.serializer` unwraps no secret: the property would be one more text to show."""

        @frozen
        class Page:
            title: Title
            key: Key
            plain_title = ValueObject.serializer("title")
            plain_key = ValueObject.serializer("key")

        page = Page(Title("a"), KEY)
        assert ("a", KEY) == (page.plain_title, page.plain_key)


def refusals(cls: type[Secret[object, object]]) -> list[BaseException]:
    """Return how a class refuses HUSH, in every way that it is made."""
    refused: DomainError = cls.parse(HUSH).swap().unwrap()  # type: ignore[assignment]  # whatever the class names
    found: list[BaseException] = [refused]
    makers: tuple[Callable[[Any], object], ...] = (cls, cls.from_value, lambda value: cls(value=value))
    for make in makers:
        try:
            make(HUSH)
        except DomainError as error:
            found.append(error)
    return found


def chain(error: BaseException) -> list[BaseException]:
    """Return an error with all that it was caused by, or raised in the course of."""
    found = [error]
    for one in found:  # it grows while it is read
        found += [inner for inner in (one.__cause__, one.__context__) if inner is not None and inner not in found]
    return found


class TestRefusals:
    @pytest.mark.parametrize("cls", REFUSING)
    def test_no_part_of_an_error_has_the_value(self, cls: type[Secret[object, object]]) -> None:
        """Neither its texts, fields, arguments and notes have it, nor those of what led to it."""
        errors = refusals(cls)
        assert 4 == len(errors)
        for error in errors:
            for one in chain(error):
                held = getattr(one, "_content", tuple[object, ...])()
                assert [] == shows(one, one.args, vars(one), held, *traceback.format_exception(one))

    @pytest.mark.parametrize("cls", REFUSING)
    def test_no_frame_of_the_library_holds_the_value(self, cls: type[Secret[object, object]]) -> None:
        """A log of local variables has those of the caller, and no value of the constructor's or of a validator's."""
        with pytest.raises(DomainError) as caught:
            cls(HUSH)
        frames = list(traceback.walk_tb(caught.value.__traceback__))[1:]
        assert [] == shows(*(value for frame, _ in frames for value in frame.f_locals.values()))

    def test_the_texts(self) -> None:
        """A refusal names the class, and what its validator raised, or the type that belongs there."""
        told = "ByOwnRule: a validator refused the value (ValueError)"
        assert {"message": told} == ByOwnRule.parse(HUSH).failure().additional_info
        assert {"message": "Pin: expected int, got str"} == Pin.parse(HUSH).failure().additional_info
        told = "ByNote: a validator refused the value (WeakKey)"
        assert {"message": told} == ByNote.parse(HUSH).failure().additional_info
        assert {"message": "ByUnnamedError: WeakKey"} == ByUnnamedError.parse(HUSH).failure().additional_info

    def test_an_error_of_the_domain_goes_on(self) -> None:
        """One that repeats nothing comes out as it was raised, without its cause, which may."""
        error = ByError.parse(HUSH).failure()
        assert WeakKey() == error
        assert (None, None) == (error.__cause__, error.__context__)

    def test_a_value_object_of_several_fields(self) -> None:
        """`parse` tells the path and the class, and takes secrets whether or not they are written."""
        assert Success(LOGIN) == parse(Login, {"user": "ada", "key": HUSH, "old": [HUSH], "spare": HUSH})

        @frozen
        class Keys:
            one: ByOwnRule
            other: tuple[ByOptions, ...]

        error = parse(Keys, {"one": HUSH, "other": [HUSH, HUSH]}).failure()
        assert ["$.one", "$.other[0]", "$.other[1]"] == [problem.path for problem in error.problems]
        assert [] == shows(*(part for one in chain(error) for part in (one, vars(one), one.problems)))  # type: ignore[attr-defined]  # of the first

    def test_an_error_that_can_not_be_read_is_taken_for_one_that_repeats_the_value(self) -> None:
        """A field that has no text might be anything."""

        class Wordless:
            def __str__(self) -> str:
                raise RuntimeError

        assert repeated_by(DomainError(additional_info={"what": Wordless()}), HUSH)
        assert not repeated_by(DomainError(additional_info={"what": "no key"}), HUSH)


WRITTEN: Mapping[str, Callable[[], object]] = {
    "codec": lambda: MessageCodec(KeyMade),
    "message": lambda: KeyMade(KEY).json(),
    "message read": lambda: KeyMade.from_dict({}),
    "schema": lambda: message_schema(KeyMade),
    "state": lambda: state_form(Account, None),
    "repository": lambda: InmemoryCrudRepository[Account, AccountId]().save(ACCOUNT),
    "converter": lambda: make_converter().unstructure(KEY),
    "converter that keeps": lambda: make_converter(unwrap_value_objects=False).unstructure(KEY),
    "converter reads": lambda: make_converter().structure(HUSH, Key),
    "converter, of a class": lambda: make_converter().unstructure(LOGIN),
    "converter, in a list": lambda: make_converter().unstructure([KEY]),
    "converter, by class": lambda: make_converter().unstructure({"key": KEY}, dict[str, object]),
    "converter, optional": lambda: make_converter().unstructure(KEY, Key | None),
    "converter, generic": lambda: make_converter().unstructure(Box(KEY), Box[Key]),
    "serializer": lambda: make_converter(unwrap_value_objects=False).unstructure(
        KEY, Annotated[Key, ValueObjectSerializer]
    ),
    "tells": lambda: ProblemOptions(tells={KeyRefused: ("key",)}),
    "key of a mapping": lambda: Derivation().node(Mapping[Key, int], "Keys"),
    "inside of another": lambda: Derivation().node(ValueObject[Key], "Outer"),
    "by another class": lambda: Derivation().node(Annotated[tuple[Key, Login], InPlainText], "Keys"),
    "beside a datetime": lambda: Derivation().node(Annotated[tuple[Key, datetime], NaiveAsUtc], "Keys"),
}


class TestOnTheWire:
    @pytest.mark.parametrize("make", WRITTEN.values(), ids=WRITTEN)
    def test_it_is_refused_unless_a_field_asks_for_it(self, make: Callable[[], object]) -> None:
        """Before anything is written, an error says which class and field, and what to write."""
        with pytest.raises(UnsupportedTypeError) as caught:
            make()
        assert (
            "expected a type without secrets, got the secret Key; write Annotated[Key, InPlainText]"
            in f"{caught.value}"
        )
        assert [] == shows(*traceback.format_exception(caught.value))

    def test_the_field_is_named(self) -> None:
        """The text begins with the class and the field."""
        with pytest.raises(UnsupportedTypeError, match=r"^KeyMade\.key: "):
            MessageCodec(KeyMade)

    def test_a_message_that_asks_for_it(self) -> None:
        """It is written as what it wraps, and read back."""
        codec = MessageCodec(KeySent)
        sent = KeySent(KEY)
        raw = codec.encode(sent)
        assert {"key": HUSH, "number": 0} == json.loads(raw)["data"]["attributes"]
        assert Success(sent) == codec.decode(raw)
        assert Success(KeySent(KEY, 1, header=sent.header)) == codec.decode(raw.replace(b'"number":0', b'"number":1'))

    @pytest.mark.parametrize(
        ("hint", "value", "wire"),
        [
            (Annotated[Key, InPlainText], KEY, HUSH),
            (Annotated[Key | None, InPlainText], None, None),
            (Annotated[tuple[Key, ...], InPlainText], (KEY,), [HUSH]),
            (tuple[Annotated[Key, InPlainText], ...], (KEY,), [HUSH]),
            (Annotated[Mapping[Key, Pin], InPlainText], {KEY: Pin(5)}, {HUSH: 5}),
            (Annotated[Secret[str], InPlainText], Secret[str](HUSH), HUSH),
            (Annotated[Ring, InPlainText], Ring((KEY,)), [HUSH]),
            (Annotated[Key, InPlainText, msgspec.Meta(min_length=3)], KEY, HUSH),
            (Annotated[Key, msgspec.Meta(min_length=3), InPlainText], KEY, HUSH),
            (Box[Annotated[Key, InPlainText]], Box(KEY), {"content": HUSH}),
            (
                Annotated[tuple[Annotated[Key, InPlainText], datetime], NaiveAsUtc],
                (KEY, datetime(2026, 1, 1, tzinfo=UTC)),
                [HUSH, "2026-01-01T00:00:00Z"],
            ),
            (
                Annotated[tuple[Key, datetime], NaiveAsUtc, InPlainText],
                (KEY, datetime(2026, 1, 1, tzinfo=UTC)),
                [HUSH, "2026-01-01T00:00:00Z"],
            ),
        ],
    )
    def test_types_that_ask_for_it(self, hint: Any, value: object, wire: object) -> None:
        """The mark holds for a union, a collection and an argument, beside other marks too."""
        converter = make_converter()
        assert wire == converter.unstructure(value, hint)
        assert value == converter.structure(wire, hint)

    @pytest.mark.parametrize(
        ("hint", "value", "wire"),
        [
            (Annotated[Key, InPlainText], KEY, {"value": HUSH}),
            (Annotated[Key, InPlainText, ValueObjectSerializer], KEY, HUSH),
            (Annotated[Mapping[Key, Pin], InPlainText], {KEY: Pin(5)}, {HUSH: {"value": 5}}),
            (Annotated[Mapping[Key, int], InPlainText], {KEY: 5}, {HUSH: 5}),
        ],
    )
    def test_a_converter_that_keeps_value_objects(self, hint: Any, value: object, wire: object) -> None:
        """A secret is kept as others are, and asked for in the same way."""
        converter = make_converter(unwrap_value_objects=False)
        assert wire == converter.unstructure(value, hint)
        assert value == converter.structure(wire, hint)

    def test_a_hook_of_the_users_own_wins(self) -> None:
        """A hook registered for the class decides how the secret is written."""
        converter = make_converter()
        converter.register_unstructure_hook(Key, lambda key: f"...{key.reveal()[-2:]}")
        assert "...an" == converter.unstructure(KEY)

    @pytest.mark.parametrize("hint", [Title, Title | None, tuple[int, ...], Box[int], Box[Annotated[Key, InPlainText]]])
    def test_a_mark_without_a_secret_is_refused(self, hint: Any) -> None:
        """It would promise something: a class says it in its own fields."""
        with pytest.raises(UnsupportedTypeError, match=r"^Field: InPlainText: expected a type with a secret, got .*; "):
            Derivation().node(Annotated[hint, InPlainText], "Field")

    def test_a_mark_beside_a_tag_is_refused(self) -> None:
        """The classes of a tagged union say it in their own fields."""
        tagged = Annotated[Box[int] | Login, Tagged("kind", box=Box[int], login=Login), InPlainText]
        with pytest.raises(UnsupportedTypeError):
            Derivation().node(tagged, "Field")

    def test_an_old_value_that_is_refused_now(self) -> None:
        """Problems of a message have the path, and neither the value nor the words of a validator."""

        @frozen
        class Sent(DomainEvent):
            key: Annotated[ByOwnRule, InPlainText]

        raw = MessageCodec(KeySent).encode(KeySent(KEY)).replace(b"key.sent", b"sent")
        error = MessageCodec(Sent).decode(raw).failure()
        assert ["$.data.attributes.key"] == [problem.path for problem in error.problems]
        assert [] == shows(
            *(part for one in chain(error) for part in (one, vars(one), traceback.format_exception(one)))
        )
        with pytest.raises(InvalidMessage) as caught:
            Sent.from_json(raw)
        assert [] == shows(*traceback.format_exception(caught.value))

    def test_what_a_converter_refuses(self) -> None:
        """Neither the group of errors that cattrs makes nor what led to them has the value."""
        for converter in (make_converter(), make_converter(unwrap_value_objects=False)):
            for cls in (ByOwnRule, ByOptions, ByNote, ByError):
                hint = tuple[Annotated[cls, InPlainText], ...]  # type: ignore[valid-type]  # known at run time
                with pytest.raises(Exception) as caught:  # noqa: PT011  # cattrs' own, or one of the domain
                    converter.structure([HUSH, {"value": HUSH}], hint)
                assert [] == shows(*traceback.format_exception(caught.value))


class TestStates:
    def test_a_secret_is_stored_where_the_aggregate_asks_for_it(self) -> None:
        """A repository gives it back, in memory as in a database."""
        stored = StoredAccount(aggregate_id=ID, key=KEY)
        repository = InmemoryCrudRepository[StoredAccount, AccountId]()
        assert is_successful(repository.save(stored))
        assert Success(stored) == repository.retrieve(ID)
        assert f'{{"key":"{HUSH}"}}' == state_form(StoredAccount, None).write(stored)

    def test_a_stored_value_that_is_refused_now(self) -> None:
        """The error has the path, and no value in itself or in what led to it: nor if it is no secret."""

        def tells(_: object, __: "Attribute[str]", text: str) -> None:
            raise ValueError(text)

        @frozen
        class Ruled(AggregateRoot[AccountId]):
            key: Annotated[ByOwnRule, InPlainText]
            note: str = field(validator=tells)

        state = json.dumps({"key": HUSH, "note": HUSH})
        with pytest.raises(StoredStateError) as caught:
            state_form(Ruled, None).read(state, ID, 1)
        assert ["$.key", "$.note"] == [problem.path for problem in caught.value.problems]
        assert [] == shows(*(part for one in chain(caught.value) for part in (one, vars(one))))

    def test_the_id_of_an_aggregate_in_an_error(self) -> None:
        """An id that is a secret, in a repository of one's own, isn't told by the errors about it."""
        assert [] == shows(AggregateNotFoundError(KEY), AggregateNotFoundError(KEY).uuid_value)


class TestSchemas:
    def test_keywords(self) -> None:
        """A secret is for writing alone, a text is a password, and its rules are told, but not its values."""

        @frozen
        class Ruled(Secret[str]):
            value: str = field(validator=and_(min_len(3), max_len(30), matches_re("[a-z]+"), in_([HUSH, "other"])))

        @frozen
        class Numbered(Secret[int]):
            value: int = field(validator=ge(3))

        class Number(Secret[UUID]): ...

        @frozen
        class Sent(DomainEvent):
            one: Annotated[Ruled, InPlainText]
            two: Annotated[Numbered, InPlainText]
            three: Annotated[Number, InPlainText]
            four: Annotated[Key | None, InPlainText] = KEY
            five: tuple[Annotated[Key, InPlainText], ...] = (KEY,)
            six: Mapping[str, Annotated[Key, InPlainText]] = {"a": KEY}  # kept read-only

        schema = message_schema(Sent)
        found: Any = schema["$defs"]
        assert {
            "type": "string", "minLength": 3, "maxLength": 30, "pattern": "^[a-z]+$(?!\\n)", "format": "password",
            "writeOnly": True, "title": "Ruled",
        } == found["Ruled"]  # fmt: skip  # one object
        assert {"type": "integer", "minimum": 3, "writeOnly": True, "title": "Numbered"} == found["Numbered"]
        assert ("uuid", True) == (found["Number"]["format"], found["Number"]["writeOnly"])
        assert [] == shows(schema, asyncapi_document(MessageCodec(Sent), title="Keys", version="1"))

    def test_a_class_inside_a_reference(self) -> None:
        """Of a class with a schema of its own, the keyword stands beside the reference."""

        class Hidden(Secret[Title]): ...

        definitions = Definitions("#/")
        definitions.schema(Derivation().node(Annotated[Hidden, InPlainText], "Field"))
        assert {"$ref": "#/Title", "writeOnly": True, "title": "Hidden"} == definitions.finish()["Hidden"]

    @pytest.mark.parametrize("options", [[KEY], (KEY,), {KEY}, {KEY: 1}])
    def test_options_of_a_field_that_are_secrets(self, options: Any) -> None:
        """The field that holds a secret has no list of those that are admitted, nor of those that aren't."""

        @frozen
        class Sent(DomainEvent):
            key: Annotated[Key, InPlainText] = field(validator=in_(options))
            other: Annotated[Key, InPlainText] = field(validator=not_(in_(options)), default=Key("other"))

        assert [] == shows(message_schema(Sent))

    def test_a_default_that_holds_one(self) -> None:
        """An object that is no secret and holds one is left out too; another default is told."""

        @frozen
        class Inner:
            key: Annotated[Key, InPlainText]

        @frozen
        class Sent(DomainEvent):
            inner: Inner = Inner(KEY)
            number: int = 5

        properties: Any = message_schema(Sent)["properties"]
        attributes = properties["data"]["properties"]["attributes"]["properties"]
        assert {"number": {"type": "integer", "default": 5}, "inner": {"$ref": "#/$defs/Inner"}} == attributes


class TestStrategies:
    @given(instances(Login), instances(ByOptions), instances(KeyMade))
    @settings(suppress_health_check=[HealthCheck.too_slow])
    def test_secrets_are_made(self, login: Login, key: ByOptions, event: KeyMade) -> None:
        """A strategy makes them for any class, whether or not a field asks for them in plain text."""
        assert isinstance(login.key, Key)
        assert key.value in {"sk_one", "sk_two"}
        assert "***" in f"{event!r}"


class TestErrors:
    def test_a_secret_in_a_field_of_an_error(self) -> None:
        """Its texts and problem document have nothing of it, and no one can have them tell it."""
        error = KeyRefused(key=KEY, additional_info={"message": "no", "key": KEY})
        options = ProblemOptions(tells={KeyRefused: ("detail",)})
        errors: ErrorMap = {KeyRefused: HttpError(status_code=400)}
        assert [] == shows(error, error.detail(), problem_details(error, error_map=errors, options=options))
        assert [] == shows(*traceback.format_exception(error))

    def test_no_client_is_told_one(self) -> None:
        """A field that has it in plain text can't be told either."""

        @frozen
        class Told(DomainError):
            key: Annotated[Key, InPlainText]

        with pytest.raises(TypeError, match=r"^ProblemOptions\.tells: expected fields without secrets, got Key; re"):
            ProblemOptions(tells={Told: ("key",)})


class TestLogs:
    @pytest.mark.parametrize("development", ["", "1"])
    @pytest.mark.parametrize("cls", REFUSING)
    def test_the_guard_of_a_use_case(
        self,
        cls: type[Secret[object, object]],
        development: str,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A secret that is refused in a use case is in neither the log, nor the error, nor what the notifier hears."""
        monkeypatch.setenv("DOMAINKIT_DEVELOPMENT", development)
        notifier = InmemoryNotifier()

        @frozen
        class Make(UseCase[[str], None, DomainError]):
            notifier: InmemoryNotifier

            def execute(self, text: str) -> Result[None, DomainError]:
                cls(text)
                return Success(None)

        error = Make(notifier)(HUSH).failure()
        assert "failed" in caplog.text
        told = [message.exception for message in notifier.messages if isinstance(message, NotifierExceptionMessage)]
        assert 1 == len(told)
        assert [] == shows(error, vars(error), caplog.text, notifier.messages, *told)
        assert [] == shows(*traceback.format_exception(error))

    def test_a_critical_error(self) -> None:
        """A notifier gets nothing of a secret that an error holds."""

        @frozen
        class Lost(CriticalError):
            key: Key

        @frozen
        class Lose(UseCase[[], None, Lost]):
            notifier: InmemoryNotifier

            def execute(self) -> Result[None, Lost]:
                return Failure(Lost(key=KEY))

        notifier = InmemoryNotifier()
        assert isinstance(Lose(notifier)().failure(), Lost)
        assert [NotifierMessage("Lost in TestLogs.test_a_critical_error.<locals>.Lose", "Lost")] == list(
            notifier.messages
        )

    def test_logging(self, caplog: pytest.LogCaptureFixture) -> None:
        """A log line with a secret, or with what holds one, has stars, by each way to format it."""
        logger = logging.getLogger("shop")
        for form in ("%s", "%r", "%-30s"):
            logger.error(form, KEY)
            logger.error(form, LOGIN)
        logger.error(f"{KEY} {LOGIN!r} {KEY:>30}")  # noqa: G004  # as users do
        assert 7 == len(caplog.records)
        assert [] == shows(caplog.text)

    def test_a_bus(self, caplog: pytest.LogCaptureFixture) -> None:
        """A subscriber that fails with a secret in its error names classes in the log and in the Failure."""

        def refuse(event: KeyMade) -> Result[None, KeyRefused]:
            return Failure(KeyRefused(key=event.key))

        @use_case
        def crash(event: KeyMade) -> Result[None, DomainError]:
            raise KeyRefused(key=event.key)

        bus = InmemoryDomainEventBus(KeyMade.handled_by(refuse), KeyMade.handled_by(crash))
        answer = bus.publish(KeyMade(KEY))
        assert "failed" in f"{answer!r}"
        assert [] == shows(answer, caplog.text)


PROCESS = """
import logging, os, sys
from attrs import field, frozen
from domainkit import DomainEvent, Secret, make_converter, use_case
from returns.result import Success

logging.basicConfig(level=logging.DEBUG)
hush = os.environ["HUSH"]

def tell(_, __, text):
    try:
        int(text)
    except ValueError as error:
        raise RuntimeError(text) from error

class Key(Secret[str]): ...

@frozen
class Strict(Secret[str]):
    value: str = field(validator=tell)

@frozen
class Login:
    key: Key

@use_case
def log_in(key):
    Strict(key)
    return Success(None)

print(Key(hush), Login(Key(hush)), [Key(hush)], log_in(hush), Strict.parse(hush))
logging.error("%s", Login(Key(hush)))
try:
    Strict(hush)
except Exception:
    logging.exception("no")
try:
    make_converter().unstructure(Login(Key(hush)))
except TypeError:
    logging.exception("no")
Strict(hush)
"""

FAILING = """
import os
from attrs import field, frozen
from attrs.validators import min_len
from domainkit import Secret

class Key(Secret[str]): ...

@frozen
class Long(Secret[str]):
    value: str = field(validator=min_len(100))

@frozen
class Login:
    user: str
    key: Key

ONE, OTHER = Key(os.environ["HUSH"]), Key(os.environ["HUSH"] + "!")

def test_equal():
    assert ONE == OTHER

def test_holder():
    assert Login("a", ONE) == Login("a", OTHER)

def test_among_others():
    assert [ONE, {"a": ONE}] == [OTHER, {"a": OTHER}]

def test_refused():
    Long(os.environ["HUSH"])
"""


class TestProcesses:
    @pytest.mark.parametrize("development", ["", "1"])
    def test_all_that_a_process_writes(self, development: str) -> None:
        """Its output, its log and the traceback that it ends with have no secret, also while one develops."""
        env = {**os.environ, "HUSH": HUSH, "DOMAINKIT_DEVELOPMENT": development}
        done = subprocess.run([sys.executable, "-c", PROCESS], capture_output=True, text=True, env=env, check=False)
        assert (1, 4) == (done.returncode, done.stdout.count("***") + done.stdout.count("refused the value"))
        assert "a validator refused the value (RuntimeError)" in done.stderr
        assert [] == shows(done.stdout, done.stderr)

    def test_what_pytest_explains(self, tmp_path: Path) -> None:
        """A test that fails shows stars, though pytest looks into attrs objects, and at the arguments of a call."""
        (tmp_path / "test_failing.py").write_text(dedent(FAILING), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-vv", "-p", "no:cacheprovider", "test_failing.py"]
        env = {**os.environ, "HUSH": HUSH}
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=env, check=False)
        assert "4 failed" in done.stdout
        assert "Key(***)" in done.stdout
        assert [] == shows(done.stdout, done.stderr)

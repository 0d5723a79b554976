"""Messages: what a class says of itself, the header, the wire form of one message, and handlers."""

import copy
import functools
import inspect
import json
import pickle
import re
from collections import UserDict
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, ClassVar, Generic, Self, TypeVar

import attrs
import pytest
from attrs import field, frozen
from attrs.exceptions import FrozenInstanceError
from attrs.validators import min_len
from holders import problems_of
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Result, Success

from domainkit import (
    AsyncHandler,
    AsyncSubscriber,
    Command,
    DomainError,
    DomainEvent,
    Handler,
    InvalidMessage,
    JsonValue,
    Message,
    MessageCodec,
    MessageHeader,
    MessageInfo,
    Problem,
    Subscriber,
    UnsupportedTypeError,
    Uuid,
    ValueObject,
    caused,
    handling,
    messages,
)

T = TypeVar("T")
R = TypeVar("R")
MOMENT = datetime(2021, 12, 28, 14, 11, 47, 845618, UTC)
ID = "3a4d78aa-6870-41cb-aa14-964831511d86"


class TaskId(Uuid): ...


@frozen
class Title(ValueObject[str]):
    value: str = field(validator=min_len(1))


@frozen
class TaskCreated(DomainEvent):
    task_id: TaskId
    title: Title

    class Config:
        version = 2


class UrgentTaskCreated(TaskCreated): ...


@frozen
class TaskMoved(TaskCreated):
    column: str = "done"

    class Config:
        name = "board.task_moved"


@frozen
class CreateTask(Command[TaskId, DomainError]):
    title: Title


@frozen
class Stored(DomainEvent, Generic[T]):
    item: T
    copies: tuple[T, ...] = ()


class TitleStored(Stored[Title]): ...


@frozen
class Aliased(DomainEvent):
    _secret: str
    renamed: int = field(alias="camelCase")


@frozen
class Tree(DomainEvent):
    """A subclass stands before what its field names."""

    leaf: "Leaf"


@frozen
class OakTree(Tree):
    age: int = 1


@frozen
class Leaf:
    colour: str


@frozen
class Ahead(DomainEvent):
    """A message whose field names a class that stands below, and can change."""

    parts: "tuple[LateList, ...]"


@frozen
class Further(Ahead):
    number: int = 1


class LateList(list[str]): ...


@frozen
class Ping(Command[str, DomainError]):
    text: str = "ping"


def created(**header: Any) -> TaskCreated:
    """Return an event with the given parts of a header."""
    return TaskCreated(TaskId.v4(), Title("Buy milk"), header=MessageHeader(**header))


def data_of(message: Message) -> Any:
    """Return what stands under `data` on the wire."""
    return message.dict()["data"]


def named(name: str, base: type = DomainEvent, /, **config: object) -> Any:
    """Return a message class with a name and a Config."""
    body = {"Config": type("Config", (), config)} if config else {}
    return type(name, (base,), body)


class TestInfo:
    @pytest.mark.parametrize(
        ("class_name", "name"),
        [
            ("TaskCreated", "task.created"),
            ("Task", "task"),
            ("task", "task"),
            ("HTTPCalled", "h.t.t.p.called"),
            ("Task2Created", "task2.created"),
            ("Task_Created", "task..created"),
            ("task_created", "task.created"),
        ],
    )
    def test_name(self, class_name: str, name: str) -> None:
        """The name has a dot before each capital but the first, and for each underscore, in lower case."""
        assert MessageInfo(name, 1, "domain_event") == named(class_name).info()

    @pytest.mark.parametrize(
        ("base", "kind"), [(Message, "message"), (DomainEvent, "domain_event"), (Command, "command")]
    )
    def test_kind(self, base: type[Message], kind: str) -> None:
        """The kind tells events from commands; a message that is neither is a `message`, on the wire too."""
        assert kind == base.info().kind == named("Own", base).info().kind == data_of(base())["type_message"]

    def test_version(self) -> None:
        """The version is 1 unless Config says another; a subclass has that of its base, unless it has its own."""
        assert (1, 2, 2, 7) == (
            Ping.info().version,
            TaskCreated.info().version,
            UrgentTaskCreated.info().version,
            named("Newer", TaskCreated, version=7).info().version,
        )

    def test_version_below_a_config_with_a_name_alone(self) -> None:
        """A Config is read as a class: one without a version gives 1, unless it inherits another."""
        assert MessageInfo("board.task_moved", 1, "domain_event") == TaskMoved.info()

        class Inherits(TaskCreated):
            class Config(TaskCreated.Config):
                name = "task.inherited"

        assert MessageInfo("task.inherited", 2, "domain_event") == Inherits.info()

    def test_a_name_is_not_inherited(self) -> None:
        """Config.name names one class: a subclass gets the name of its own, so that the two stay apart."""
        assert "board.task_moved" == TaskMoved.info().name
        assert "task.moved.back" == named("TaskMovedBack", TaskMoved).info().name

    def test_on_the_wire(self) -> None:
        """Name, version and kind are what the wire form says."""
        data = data_of(TaskMoved(TaskId.v4(), Title("a")))
        assert ("board.task_moved", 1, "domain_event") == (data["type"], data["version"], data["type_message"])


class TestConfig:
    @pytest.mark.parametrize("setting", ["versions", "Version", "title", "_name"])
    def test_unknown_setting(self, setting: str) -> None:
        """A setting that there isn't is refused at class definition: a slip of the pen has no silent effect."""
        text = rf"^Own\.Config\.{setting}: expected only `name` and `version`, got another setting; remove it$"
        with pytest.raises(TypeError, match=text):
            named("Own", **{setting: 1})

    @pytest.mark.parametrize("version", [0, -1, "2", 1.0, True, None])
    def test_version(self, version: object) -> None:
        """A version is an int from 1 on."""
        with pytest.raises(TypeError, match=r"^Own\.Config\.version: expected an int of 1 or more$"):
            named("Own", version=version)

    @pytest.mark.parametrize("name", ["", None, 1, b"task", "lone \ud800"])
    def test_name(self, name: object) -> None:
        """A name is a text that isn't empty, and that UTF-8 has bytes for."""
        with pytest.raises(TypeError, match=r"^Own\.Config\.name: expected a non-empty str, such as"):
            named("Own", name=name)

    def test_no_class(self) -> None:
        """Config is a class in the body, nothing else."""
        with pytest.raises(TypeError, match=r"^Own\.Config: expected a class in the body, such as `class Config"):
            type("Own", (DomainEvent,), {"Config": {"version": 2}})

    def test_of_a_decorated_class(self) -> None:
        """A class with fields is looked at too, at class definition."""
        with pytest.raises(TypeError, match=r"Own\.Config\.version: expected an int of 1 or more"):

            @frozen
            class Own(DomainEvent):
                title: Title

                class Config:
                    version = 0


class TestHeader:
    def test_defaults(self) -> None:
        """A header unless given has a fresh id, the time of now in UTC, and no meta."""
        before = datetime.now(UTC)
        for header in (MessageHeader(), Ping().header):
            assert before <= header.occurred_on <= datetime.now(UTC)
            assert UTC is header.occurred_on.tzinfo
            assert (4, {}) == (header.id.to_uuid().version, header.meta)
        assert 1000 == len({Ping().header.id for _ in range(1000)})

    def test_the_clock_can_be_replaced(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A test may put another function in the place of `now`: new headers and new messages have its time."""
        monkeypatch.setattr(messages, "now", lambda: MOMENT)
        assert MOMENT == MessageHeader().occurred_on == Ping().header.occurred_on

    def test_keyword_only(self) -> None:
        """The header is given by name, so that the payload's fields are the only positional ones."""
        header = MessageHeader()
        assert header is Ping(header=header).header
        assert ["text", "header"] == list(inspect.signature(Ping).parameters)
        with pytest.raises(TypeError, match="positional argument"):
            Ping("ping", header)  # type: ignore[call-arg]  # the very mistake

    @pytest.mark.parametrize("header", [None, {}, "header", ID])
    def test_no_header(self, header: Any) -> None:
        """Something else in the header's place is refused, by class, field and what was found."""
        text = rf"^Ping\.header: expected a MessageHeader, got a {type(header).__name__}$"
        with pytest.raises(TypeError, match=text):
            Ping(header=header)

    @pytest.mark.parametrize("moment", [datetime(2024, 1, 1), datetime(2024, 1, 1).date(), "2024-01-01T00:00:00Z", 0])
    def test_naive_moments(self, moment: Any) -> None:
        """A moment has a time zone; one without, or something else, is refused with a remedy."""
        with pytest.raises(
            ValueError, match=r"^MessageHeader\.occurred_on: expected a datetime with a time zone, got another value"
        ):
            MessageHeader(occurred_on=moment)

    @given(st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)), st.integers(-1439, 1439))
    def test_other_time_zones(self, moment: datetime, minutes: int) -> None:
        """A moment of any time zone is kept in UTC, as the same moment, and comes back from the wire so."""
        given = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
        event = created(occurred_on=given)
        assert given == event.header.occurred_on == TaskCreated.from_json(event.json()).header.occurred_on
        assert UTC is event.header.occurred_on.tzinfo
        assert UTC is TaskCreated.from_json(event.json()).header.occurred_on.tzinfo

    def test_outside_of_the_years(self) -> None:
        """A moment that UTC has no year for is refused."""
        with pytest.raises(OverflowError):
            MessageHeader(occurred_on=datetime.min.replace(tzinfo=timezone(timedelta(hours=1))))

    def test_id(self) -> None:
        """The id is a Uuid; its text is none."""
        assert Uuid.from_str(ID) == MessageHeader(Uuid.from_str(ID)).id
        with pytest.raises(TypeError, match="Uuid"):
            MessageHeader(ID)  # type: ignore[arg-type]  # the very mistake

    def test_read_only(self) -> None:
        """Neither a message nor its header takes an assignment."""
        event = created()
        with pytest.raises(FrozenInstanceError):
            event.header = MessageHeader()  # type: ignore[misc]  # the very mistake
        with pytest.raises(FrozenInstanceError):
            event.header.id = Uuid.v4()  # type: ignore[misc]  # the very mistake
        with pytest.raises(FrozenInstanceError):
            event.title = Title("b")  # type: ignore[misc]  # the very mistake


class TestMeta:
    def test_add_meta_merges_into_a_copy(self) -> None:
        """add_meta returns a message of the same class, id and time; a key replaces; the first message stays."""
        event = created(meta={"tenant": "home", "user": "ada"})
        more = event.add_meta({"user": "eve", "trace": 1})
        assert {"tenant": "home", "user": "eve", "trace": 1} == more.header.meta
        assert {"tenant": "home", "user": "ada"} == event.header.meta
        assert (TaskCreated, event.header.id, event.header.occurred_on) == (
            type(more),
            more.header.id,
            more.header.occurred_on,
        )
        assert (event.task_id, event.title) == (more.task_id, more.title)

    def test_nothing_to_add(self) -> None:
        """Adding nothing gives an equal message."""
        event = created(meta={"a": 1})
        assert event == event.add_meta({})

    @pytest.mark.parametrize(
        ("meta", "text"),
        [
            (None, r"^MessageHeader\.meta: expected a mapping of JSON values, got a NoneType; pass a dict$"),
            ([("a", 1)], r"^MessageHeader\.meta: expected a mapping of JSON values, got a list; pass a dict$"),
            ("a", r"^MessageHeader\.meta: expected a mapping of JSON values, got a str; pass a dict$"),
            ({"a": {1}}, r"meta\.a: expected a JSON value, got set; use None, bool, int, float, str, a tuple"),
            ({"a": [1, {"b": MOMENT}]}, r"meta\.a\[1\]\.b: expected a JSON value, got datetime"),
            ({"a": {1: 2}}, r"meta\.a: expected keys that are JSON text, got int"),
            ({"a": float("nan")}, r"meta\.a: expected a value that JSON can carry, got NaN or an infinite number"),
            ({"a": float("-inf")}, r"meta\.a: expected a value that JSON can carry, got NaN or an infinite number"),
            ({"a": Uuid.from_str(ID)}, r"meta\.a: expected a JSON value, got Uuid"),
        ],
        ids=["None", "pairs", "text", "set", "datetime", "key", "NaN", "infinite", "value object"],
    )
    def test_what_is_no_meta(self, meta: Any, text: str) -> None:
        """Meta is a mapping of what JSON carries; the error gives the path, and never the value."""
        for refused in (lambda: MessageHeader(meta=meta), lambda: created().add_meta(meta)):
            with pytest.raises(TypeError, match=text) as caught:
                refused()
            assert ID not in str(caught.value)

    def test_read_only_at_every_depth(self) -> None:
        """Meta is a copy that can't change, all the way down, given in any way."""
        given: dict[str, JsonValue] = {"a": {"b": [{"c": 1}]}}
        event = created(meta=given)
        decoded = TaskCreated.from_json(event.json())
        given["a"] = 2
        for message in (event, decoded, created().add_meta(event.header.meta), TaskCreated.from_dict(event.dict())):
            meta: Any = message.header.meta
            assert {"a": {"b": ({"c": 1},)}} == meta
            for inner in (meta, meta["a"], meta["a"]["b"][0]):
                with pytest.raises(TypeError, match="this mapping is read-only"):
                    inner["x"] = 1
                with pytest.raises(TypeError, match="this mapping is read-only"):
                    inner.clear()

    def test_a_mapping_that_is_no_dict(self) -> None:
        """Any mapping will do."""
        assert {"a": 1} == created(meta=UserDict({"a": 1})).header.meta == created().add_meta(UserDict(a=1)).header.meta


class TestCauses:
    def test_caused_by(self) -> None:
        """The cause's id is the causation id; the correlation id is the cause's own, else its id, down a chain."""
        command = CreateTask(Title("a"))
        first = created(meta={"tenant": "home"}).caused_by(command)
        second = created().caused_by(first)
        root = str(command.header.id)
        assert {"tenant": "home", "correlation_id": root, "causation_id": root} == first.header.meta
        assert {"correlation_id": root, "causation_id": str(first.header.id)} == second.header.meta

    def test_a_correlation_id_of_the_caller_is_kept(self) -> None:
        """A correlation id that came from outside goes on to what follows."""
        command = CreateTask(Title("a")).add_meta({"correlation_id": "request-7"})
        assert "request-7" == created().caused_by(command).header.meta["correlation_id"]

    @pytest.mark.parametrize("wild", ["x" * 256, "", 7, None, ["a"], {"a": 1}])
    def test_a_correlation_id_has_bounds(self, wild: JsonValue) -> None:
        """One that is no text, empty or longer than 255 characters doesn't go on: the cause's own id does."""
        command = CreateTask(Title("a")).add_meta({"correlation_id": wild})
        assert str(command.header.id) == created().caused_by(command).header.meta["correlation_id"]
        longest = command.add_meta({"correlation_id": "x" * 255})
        assert "x" * 255 == created().caused_by(longest).header.meta["correlation_id"]

    def test_the_cause_is_not_changed(self) -> None:
        """Both messages stay as they were."""
        command, event = CreateTask(Title("a")), created()
        event.caused_by(command)
        assert ({}, {}) == (command.header.meta, event.header.meta)

    def test_handling(self) -> None:
        """Inside of `handling` the message is the cause, the innermost first; after it, also on an error, no more."""
        outer, inner, event = Ping(), Ping(), created()
        with handling(outer):
            with handling(inner):
                assert event.caused_by(inner) == caused(event)
            with pytest.raises(ZeroDivisionError), handling(inner):
                raise ZeroDivisionError
            assert event.caused_by(outer) == caused(event)
            assert event.caused_by(inner) == caused(event.caused_by(inner))
        assert event is caused(event)


class TestEquality:
    def test_header_counts(self) -> None:
        """Messages are equal, and hash alike, with equal payload and header: id, time and meta all count."""
        event = created(meta={"a": [1]})
        same = attrs.evolve(event, header=copy.deepcopy(event.header))
        assert event == same
        assert hash(event) == hash(same)
        header = event.header
        for other in (
            attrs.evolve(header, id=Uuid.v4()),
            attrs.evolve(header, occurred_on=header.occurred_on + timedelta(microseconds=1)),
            attrs.evolve(header, meta={"a": [2]}),
        ):
            assert event != attrs.evolve(event, header=other)
            assert 2 == len({event, attrs.evolve(event, header=other)})

    def test_payload_counts(self) -> None:
        """Another payload is another message."""
        event = created()
        assert event != attrs.evolve(event, title=Title("b"))

    def test_class_counts(self) -> None:
        """A message of a subclass is none of its base, though all its fields are equal."""
        event = created()
        assert event != UrgentTaskCreated(event.task_id, event.title, header=event.header)

    @pytest.mark.parametrize(
        "copied",
        [
            copy.copy,
            copy.deepcopy,
            *(functools.partial(lambda protocol, m: pickle.loads(pickle.dumps(m, protocol)), n) for n in range(6)),
        ],
        ids=["copy", "deepcopy", *(f"pickle {protocol}" for protocol in range(6))],
    )
    def test_copies(self, copied: Callable[[Message], Message]) -> None:
        """A copy, shallow, deep or pickled, is an equal message of the same class, and as frozen."""
        for message in (
            created(meta={"a": [{"b": None}]}),
            UrgentTaskCreated(TaskId.v4(), Title("a")),
            TitleStored(Title("a"), (Title("b"),)),
            Aliased("s", 1),
            OakTree(Leaf("green")),
            Ping().caused_by(created()),
        ):
            made = copied(message)
            assert (type(message), message, hash(message)) == (type(made), made, hash(made))
            assert message.json() == made.json()
            with pytest.raises(TypeError, match="this mapping is read-only"):
                made.header.meta["x"] = 1  # type: ignore[index]  # the very mistake


class TestWireForm:
    def test_dict(self) -> None:
        """The wire form has the envelope's seven keys; value objects are unwrapped; the time is UTC without offset."""
        east = MOMENT.astimezone(timezone(timedelta(hours=9)))
        header = MessageHeader(Uuid.from_str(ID), east, {"tenant": "home"})
        event = TaskCreated(TaskId.from_str(ID), Title("Buy milk"), header=header)
        assert event.dict() == {
            "data": {
                "id": ID,
                "type": "task.created",
                "type_message": "domain_event",
                "version": 2,
                "occurred_on": "2021-12-28 14:11:47.845618",
                "attributes": {"task_id": ID, "title": "Buy milk"},
                "meta": {"tenant": "home"},
            }
        }
        assert event.dict() == json.loads(event.json())

    def test_whole_seconds(self) -> None:
        """The time has six digits, also where they are zeros."""
        assert (
            "2021-12-28 14:11:47.000000" == data_of(created(occurred_on=MOMENT.replace(microsecond=0)))["occurred_on"]
        )

    @pytest.mark.parametrize(
        "message",
        [
            created(meta={"a": [1.5, None, {"b": "ü"}]}),
            UrgentTaskCreated(TaskId.v4(), Title("a")),
            TaskMoved(TaskId.v4(), Title("a"), "doing"),
            CreateTask(Title("a")),
            TitleStored(Title("a"), (Title("b"),)),
            Aliased("s", 1),
            OakTree(Leaf("green"), 100),
            Message(),
            DomainEvent(),
            Command(),
        ],
        ids=lambda message: type(message).__name__,
    )
    def test_both_ways(self, message: Message) -> None:
        """Each message comes back equal, from builtins, text and bytes, and in the class that it had."""
        for made in (
            type(message).from_dict(message.dict()),
            type(message).from_dict(UserDict(message.dict())),
            type(message).from_json(message.json()),
            type(message).from_json(message.json().encode()),
            type(message).from_json(json.dumps(message.dict(), indent=1)),
            MessageCodec(type(message)).decode(message.json()).unwrap(),
        ):
            assert (type(message), message) == (type(made), made)

    @pytest.mark.parametrize("age", [2**63, -(2**63) - 1, 2**64, 10**40])
    def test_long_integers(self, age: int) -> None:
        """An integer of more than 64 bits comes back as it is, though JSON parsers like to stop there."""
        oak = OakTree(Leaf("green"), age)
        assert oak == OakTree.from_json(oak.json()) == OakTree.from_dict(oak.dict())

    def test_a_key_that_stands_twice(self) -> None:
        """The last of two equal keys counts, as in json.loads, whatever stands in the first."""
        event = created()
        inner = event.json()[len('{"data":{') :]
        for doubled in (
            '{"data":1,"data":{' + inner,
            '{"data":{"version":"2",' + inner,
            '{"data":{"version":2,' + inner,
        ):
            assert event.dict() == json.loads(doubled)
            assert event == TaskCreated.from_json(doubled) == MessageCodec(TaskCreated).decode(doubled).unwrap()

    def test_dict_is_the_callers(self) -> None:
        """The dict that dict() returns is new each time, and may be changed."""
        event = created(meta={"a": [1]})
        data_of(event)["meta"]["a"].append(2)
        event.dict()["data"]["attributes"].clear()
        assert event == TaskCreated.from_dict(event.dict())

    @pytest.mark.parametrize(("reader", "kind"), [(DomainEvent, "domain_event"), (UrgentTaskCreated, "domain_event"),
                                                 (CreateTask, "command"), (Message, "message")])  # fmt: skip  # a table
    def test_another_class_refuses(self, reader: type[Message], kind: str) -> None:
        """A base, a subclass and a stranger refuse the wire form of a class: at $.data, saying what they read."""
        event = created()
        for refused in (
            lambda: reader.from_dict(event.dict()),
            lambda: reader.from_json(event.json()),
            lambda: reader.from_json(event.json().encode()),
        ):
            assert (Problem("$.data", f"a {reader.info()}", "unknown"),) == problems_of(refused)
            assert kind == reader.info().kind

    @pytest.mark.parametrize("key", ["id", "type", "type_message", "version", "occurred_on"])
    def test_nothing_is_invented(self, key: str) -> None:
        """A key of the envelope that is missing is a problem at its path; so is one of another type."""
        data: Any = created().dict()
        for value, code in ((..., "missing"), ({}, "type"), (None, "type")):
            inner = {name: kept for name, kept in data["data"].items() if name != key}
            changed = {"data": inner if value is ... else {**inner, key: value}}
            for refused in (
                functools.partial(TaskCreated.from_dict, changed),
                functools.partial(TaskCreated.from_json, json.dumps(changed)),
            ):
                found = problems_of(refused)
                assert [(f"$.data.{key}", code)] == [(problem.path, problem.code) for problem in found]

    @pytest.mark.parametrize(
        ("attributes", "path"),
        [
            ({"title": "a"}, ".task_id"),
            ({"task_id": ID, "title": ""}, ".title"),
            ({"task_id": 5, "title": "a"}, ".task_id"),
        ],
    )
    def test_attributes_are_checked(self, attributes: dict[str, object], path: str) -> None:
        """A field that is missing, refused by its validator or of another type is a problem at its path."""
        data: Any = created().dict()
        data["data"]["attributes"] = attributes
        for refused in (lambda: TaskCreated.from_dict(data), lambda: TaskCreated.from_json(json.dumps(data))):
            assert [f"$.data.attributes{path}"] == [problem.path for problem in problems_of(refused)]

    @pytest.mark.parametrize("raw", ["", "{", "[]", "null", b"\xff", "\ud800", 5, None, '{"data": 1}', "{}"])
    def test_what_is_no_wire_form(self, raw: Any) -> None:
        """Any other text, bytes or object is an InvalidMessage."""
        with pytest.raises(InvalidMessage):
            TaskCreated.from_json(raw)
        with pytest.raises(InvalidMessage):
            TaskCreated.from_dict(raw)

    def test_limits(self) -> None:
        """A message deeper than the default limits allow is refused, as builtins and as text."""
        deep: Any = "x"
        for _ in range(100):
            deep = [deep]
        data: Any = created().dict()
        data["data"]["meta"] = {"a": deep}
        for refused in (lambda: TaskCreated.from_dict(data), lambda: TaskCreated.from_json(json.dumps(data))):
            assert ["limit"] == [problem.code for problem in problems_of(refused)]

    def test_what_could_not_be_read_back_is_not_written(self) -> None:
        """A value that isn't of its field's type is refused on the way out, at its path."""
        wrong = TaskCreated(TaskId.v4(), "no title")  # type: ignore[arg-type]  # the very mistake
        for refused in (wrong.dict, wrong.json):
            assert ["$.data.attributes.title"] == [problem.path for problem in problems_of(refused)]


class TestClassDefinition:
    @pytest.mark.parametrize(
        "name", ["header", "info", "add_meta", "caused_by", "dict", "json", "from_dict", "from_json", "handled_by"]
    )
    @pytest.mark.parametrize("base", [Message, DomainEvent, Command, TaskCreated])
    def test_reserved_names(self, base: type, name: str) -> None:
        """A field with a name that messages use is refused at class definition, by class, field and remedy."""
        text = rf"^Taken\.{name}: the name '{name}' is taken by \w+; give the field another name$"
        with pytest.raises(TypeError, match=text):
            type("Taken", (base,), {"__annotations__": {name: str}})

    def test_config_is_no_field(self) -> None:
        """Nor is Config a name for a field."""
        with pytest.raises(TypeError, match=r"^Taken\.Config: the name 'Config' is taken by Message"):
            type("Taken", (DomainEvent,), {"__annotations__": {"Config": str}})

    def test_names_of_the_envelope_are_free(self) -> None:
        """id, type, version, occurred_on, attributes, meta and data are names like any other."""

        @frozen
        class Free(DomainEvent):
            id: int
            type: str
            version: int
            occurred_on: str
            attributes: str
            meta: str
            data: str

        event = Free(1, "a", 2, "b", "c", "d", "e", header=MessageHeader(meta={"f": 1}))
        assert event == Free.from_json(event.json()) == Free.from_dict(event.dict())
        assert {
            "id": 1,
            "type": "a",
            "version": 2,
            "occurred_on": "b",
            "attributes": "c",
            "meta": "d",
            "data": "e",
        } == (data_of(event)["attributes"])

    def test_undecorated(self) -> None:
        """A class with fields and no decorator is refused at its first instance, and where it is read or written."""

        class Bare(DomainEvent):
            title: Title

        wire = created().json()
        text = r"Bare\.title: the class has fields but isn't decorated; write @attrs\.frozen above `class Bare`$"
        for refused in (
            Bare,
            lambda: Bare.from_json(wire),
            lambda: Bare.from_dict(json.loads(wire)),
            lambda: MessageCodec(Bare),
        ):
            with pytest.raises(TypeError, match=text):
                refused()

    @pytest.mark.parametrize(
        ("hint", "remedy"),
        [
            (list[str], r"use tuple[X, ...]"),
            (dict[str, int], "use collections.abc.Mapping[K, V]"),
            (set[int], "use frozenset[X]"),
            (tuple[list[str], ...], r"use tuple[X, ...]"),
            (Mapping[str, set[int]] | None, "use frozenset[X]"),
            (bytearray, "use bytes"),
        ],
        ids=str,
    )
    def test_mutable_types(self, hint: object, remedy: str) -> None:
        """A field whose value could change is refused at class definition, by class, field and remedy."""
        text = rf"^Changing\.parts: a \w+ can change after the object is made; {re.escape(remedy)}"
        with pytest.raises(TypeError, match=text):
            frozen(type("Changing", (DomainEvent,), {"__annotations__": {"parts": hint}}))

    def test_what_has_no_wire_form(self) -> None:
        """A class with a field that can't be carried makes messages, which are refused where one is written or read."""

        @frozen
        class Wave(DomainEvent):
            phase: complex

        wave = Wave(1j)
        for refused in (wave.json, wave.dict, lambda: Wave.from_json("{}"), lambda: Wave.from_dict({})):
            with pytest.raises(
                UnsupportedTypeError, match=r"Wave\.phase: expected a type with a wire form, got complex"
            ):
                refused()


class TestShapes:
    def test_generic(self) -> None:
        """A field of a type variable is read as what the subclass gives for it, in collections too."""
        stored = TitleStored(Title("a"), (Title("b"), Title("c")))
        assert {"item": "a", "copies": ["b", "c"]} == data_of(stored)["attributes"]
        made = TitleStored.from_json(stored.json())
        assert (Title("a"), (Title("b"), Title("c"))) == (made.item, made.copies)

    def test_generic_of_its_own(self) -> None:
        """A generic command says both what it holds and what handling it returns."""

        @frozen
        class Store(Command[R, DomainError], Generic[R, T]):
            item: T

        class StoreTitle(Store[TaskId, Title]): ...

        command = StoreTitle(Title("a"))
        assert Title("a") == StoreTitle.from_json(command.json()).item

    def test_inheritance(self) -> None:
        """A subclass has the fields of its base first, then its own; each class reads itself alone."""
        moved = TaskMoved(TaskId.from_str(ID), Title("a"), "doing")
        assert ["task_id", "title", "column"] == list(data_of(moved)["attributes"])
        urgent = UrgentTaskCreated(TaskId.from_str(ID), Title("a"))
        assert "urgent.task.created" == data_of(urgent)["type"]
        codec = MessageCodec(TaskCreated, UrgentTaskCreated, TaskMoved)
        for message in (created(), urgent, moved):
            assert Success(message) == codec.decode(codec.encode(message))

    def test_inheritance_after_the_base_was_used(self) -> None:
        """A subclass has a wire form of its own, though its base has one already."""
        created().json()

        class Late(TaskCreated): ...

        late = Late(TaskId.v4(), Title("a"))
        assert late == Late.from_json(late.json())
        assert "late" == data_of(late)["type"]

    def test_private_fields_and_aliases(self) -> None:
        """The constructor takes a private field without its underscore, and an alias; both ways they keep the value."""
        event = Aliased(secret="s", camelCase=1)
        assert ("s", 1) == (event._secret, event.renamed)
        assert event == Aliased.from_json(event.json()) == Aliased.from_dict(event.dict())
        assert event.add_meta({"a": 1}) == Aliased.from_json(event.add_meta({"a": 1}).json())

    def test_defined_before_what_a_field_names(self) -> None:
        """A class and its subclass may stand above the class that a field of theirs names."""
        for tree in (OakTree(Leaf("green"), 7), Tree(Leaf("red"))):
            assert tree == type(tree).from_json(tree.json())
            assert tree.add_meta({"a": 1}).header.meta == {"a": 1}

    def test_a_list_behind_a_forward_reference(self) -> None:
        """A mutable type named ahead is refused at the first instance, by class and field, and when read."""
        for cls in (Further, Ahead):
            with pytest.raises(TypeError, match=rf"^{cls.__name__}\.parts: a LateList can change after the object"):
                cls(())
            with pytest.raises(TypeError, match=r"\.parts: .*LateList"):
                cls.from_json("{}")

    def test_class_variables_and_methods(self) -> None:
        """Class variables and methods are no part of the payload."""

        @frozen
        class Rich(DomainEvent):
            topic: ClassVar[str] = "rich"
            text: str

            @classmethod
            def loud(cls, text: str) -> Self:
                return cls(text.upper())

            @property
            def size(self) -> int:
                return len(self.text)

        rich = Rich.loud("abc")
        assert {"text": "ABC"} == data_of(rich)["attributes"]
        assert (3, rich) == (rich.size, Rich.from_json(rich.json()))


def answer(command: Ping) -> Result[str, DomainError]:
    """Answer at once."""
    return Success(command.text)


async def answer_later(command: Ping) -> Result[str, DomainError]:
    """Answer in a coroutine."""
    return Success(command.text)


class Answerer:
    """A handler with parts of its own."""

    def __call__(self, command: Ping) -> Result[str, DomainError]:
        return answer(command)

    def answer(self, command: Ping) -> Result[str, DomainError]:
        return answer(command)

    async def answer_later(self, command: Ping) -> Result[str, DomainError]:
        return await answer_later(command)


class AsyncAnswerer:
    """A handler whose call is a coroutine function."""

    async def __call__(self, command: Ping) -> Result[str, DomainError]:
        return await answer_later(command)


SYNC = (answer, Answerer(), Answerer().answer, functools.partial(answer), lambda command: Success(command.text))
ASYNC = (answer_later, AsyncAnswerer(), Answerer().answer_later, functools.partial(answer_later))


class TestHandledBy:
    @pytest.mark.parametrize("function", SYNC, ids=["function", "object", "method", "partial", "lambda"])
    def test_sync(self, function: Callable[[Any], Any]) -> None:
        """A function, a method or an object that is called makes a Handler of a command, a Subscriber of an event."""
        assert Handler(Ping, function) == Ping.handled_by(function)
        assert Subscriber(TaskCreated, function) == TaskCreated.handled_by(function)
        assert Success("ping") == Ping.handled_by(function).function(Ping())

    @pytest.mark.parametrize("function", ASYNC, ids=["function", "object", "method", "partial"])
    async def test_async(self, function: Callable[[Any], Awaitable[Any]]) -> None:
        """A coroutine function, in whichever form, makes an AsyncHandler, an AsyncSubscriber of an event."""
        handler = Ping.handled_by(function)
        assert AsyncHandler(Ping, function) == handler
        assert AsyncSubscriber(TaskCreated, function) == TaskCreated.handled_by(function)
        assert Success("ping") == await handler.function(Ping())

    def test_of_a_subclass(self) -> None:
        """The handler is of the class that it was asked of."""
        assert UrgentTaskCreated is UrgentTaskCreated.handled_by(lambda _: None).message_type
        assert DomainEvent is DomainEvent.handled_by(lambda _: None).message_type

    def test_frozen(self) -> None:
        """Handlers are values: equal by their parts, hashable, and they can't change."""
        assert 1 == len({Ping.handled_by(answer), Ping.handled_by(answer)})
        assert Ping.handled_by(answer) != named("Pong", Ping).handled_by(answer)
        with pytest.raises(FrozenInstanceError):
            Ping.handled_by(answer).function = answer  # type: ignore[misc]  # the very mistake

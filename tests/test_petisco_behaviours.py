"""The behaviours that the page for those who come from petisco compares: each row is run in both libraries."""

import asyncio
import json
import logging
import re
import warnings
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import meiga
import petisco
import pytest
from attrs import frozen
from returns.result import Failure, Success

import domainkit

PAGE = (Path(__file__).parent.parent / "docs" / "coming-from-petisco.md").read_text("utf-8")
TEXT = "a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11"
UPPER, BARE = TEXT.upper(), TEXT.replace("-", "")

Library = Any
"""The names of a library, and those of a small model in it; Any, since it is called as no type checker would let it."""


def of_petisco() -> Library:
    """Return petisco, and a model in it."""

    class Title(petisco.ValueObject):
        value: str

    class Name(petisco.ValueObject):
        value: str

    class Count(petisco.ValueObject):
        value: int

    class TaskId(petisco.Uuid): ...

    class Task(petisco.AggregateRoot):
        title: str = "Buy milk"

    class TaskCreated(petisco.DomainEvent):
        title: Any = "Buy milk"

    TaskRated = TaskLinked = TaskSplit = TaskWeighed = TaskCreated  # noqa: N806  # classes

    class HTTPCall(petisco.Command): ...

    class Missing(petisco.NotFound): ...

    class OwnHttpError(petisco.HttpError): ...

    class Run(petisco.UseCase):
        def execute(self, function: Any) -> Any:
            return function()

    class Service(petisco.AppService):
        def execute(self, function: Any) -> Any:
            return function()

    def handle(answer: object) -> object:
        class Subscriber(petisco.DomainEventSubscriber):
            def subscribed_to(self) -> Any:
                return [TaskCreated]

            def handle(self, domain_event: Any) -> Any:
                return answer

        return Subscriber().handle(TaskCreated())

    def shown(function: Callable[[], Any]) -> Any:
        from petisco.extra.fastapi import FastAPIController, as_fastapi  # noqa: PLC0415  # FastAPI may not be there

        class Controller(FastAPIController):
            def execute(self) -> Any:
                return function()

        return as_fastapi(Controller().execute())

    def handlers() -> dict[Any, Any]:
        return {}

    def routing_key(message: petisco.Message) -> str:
        formatters = "petisco.extra.rabbitmq.application.message.formatter.rabbitmq_message_queue_name_formatter"
        found = pytest.importorskip(formatters, reason="pika isn't installed", exc_type=ImportError)
        key: str = found.RabbitMqMessageQueueNameFormatter.format(message, exchange_name="acme.tasks")
        return key

    return SimpleNamespace(**{name: getattr(petisco, name) for name in petisco.__all__} | locals())


def of_domainkit() -> Library:
    """Return domainkit, and the same model in it."""

    class Title(domainkit.ValueObject[str]): ...

    class Name(domainkit.ValueObject[str]): ...

    class Count(domainkit.ValueObject[int]): ...

    class TaskId(domainkit.Uuid): ...

    @frozen
    class Task(domainkit.AggregateRoot[TaskId]):
        title: str = "Buy milk"

    @frozen
    class TaskCreated(domainkit.DomainEvent):
        title: str = "Buy milk"

    @frozen
    class TaskRated(domainkit.DomainEvent):
        title: Decimal

    @frozen
    class TaskLinked(domainkit.DomainEvent):
        title: UUID

    @frozen
    class TaskSplit(domainkit.DomainEvent):
        title: tuple[Title, ...]

    @frozen
    class TaskWeighed(domainkit.DomainEvent):
        title: float

    class HTTPCall(domainkit.Command): ...

    class Missing(domainkit.NotFound): ...

    class OwnHttpError(domainkit.HttpError): ...

    class Run(domainkit.UseCase[..., Any, domainkit.DomainError]):
        def execute(self, function: Any) -> Any:
            return function()

    class Service(domainkit.AppService[..., Any, domainkit.DomainError]):
        def execute(self, function: Any) -> Any:
            return function()

    def handle(answer: Any) -> object:
        def subscriber(_: TaskCreated) -> Any:
            return answer

        return domainkit.InmemoryDomainEventBus(TaskCreated.handled_by(subscriber)).publish(TaskCreated())

    def shown(function: Callable[[], Any]) -> Any:
        from domainkit.adapters.starlette import value_of  # noqa: PLC0415  # Starlette may not be there

        return value_of(function())

    def handlers() -> dict[Any, Any]:
        from domainkit.adapters.starlette import exception_handlers  # noqa: PLC0415  # as above

        return {**exception_handlers()}

    def routing_key(message: domainkit.Message) -> str:
        adapter = pytest.importorskip("domainkit.adapters.rabbitmq", reason="needs the extra rabbitmq")
        key: str = adapter.RabbitMqTopology("acme.tasks", service="mailing").routing_key(message.info())
        return key

    return SimpleNamespace(**{name: getattr(domainkit, name) for name in domainkit.__all__} | locals())


def outcome(function: Callable[[], object]) -> object:
    """Return what a function returns; the name of the class of what it raises, in brackets."""
    try:
        return function()
    except Exception as error:
        return f"<{type(error).__name__}>"


def told(function: Callable[[], object]) -> str:
    """Return the text of what a function raises."""
    try:
        function()
    except Exception as error:
        return str(error)
    raise AssertionError("nothing was raised")


def fail(error: Exception) -> Any:
    """Raise an error, in an expression."""
    raise error


def of(result: Any) -> Any:
    """Return what a Result of either library holds: a value, or the name of the class of an error, in brackets."""
    good = result.is_success if isinstance(result, meiga.Result) else isinstance(result, Success)
    if good:
        return result.value if isinstance(result, meiga.Result) else result.unwrap()
    return f"<{type(result.value if isinstance(result, meiga.Result) else result.failure()).__name__}>"


def after(made: Any, *steps: Callable[[Any], object]) -> Any:
    """Return an object with which something was done."""
    for step in steps:
        step(made)
    return made


def meta_of(message: Any) -> dict[str, Any]:
    """Return the meta of a message of either library."""
    return dict(message.get_message_meta() if hasattr(message, "get_message_meta") else message.header.meta)


def attributes(message: Any) -> Any:
    """Return the attributes that a message has on the wire."""
    return json.loads(message.format_json() if hasattr(message, "format_json") else message.json())["data"][
        "attributes"
    ]


def envelope(**parts: object) -> dict[str, Any]:
    """Return the envelope of a task that was created, with other parts."""
    data = {"id": TEXT, "type": "task.created", "type_message": "domain_event", "version": 1, "meta": {}}
    return {"data": {**data, "occurred_on": "2021-12-28 14:11:47.845618", "attributes": {"title": "a"}, **parts}}


def read(lib: Library, raw: Any) -> Any:
    """Return the message of an envelope."""
    if hasattr(lib.TaskCreated, "from_format"):
        return lib.TaskCreated.from_format(raw)
    return lib.TaskCreated.from_dict(raw) if isinstance(raw, dict) else lib.TaskCreated.from_json(raw)


def bus_of(lib: Library) -> Any:
    """Return a bus for events that keeps them to itself."""
    kind = "NotImplementedDomainEventBus" if hasattr(lib, "MessageBus") else "InmemoryDomainEventBus"
    return getattr(lib, kind)()


def sent(lib: Library, event: Any, *metas: dict[str, Any]) -> Any:
    """Return the meta of an event that a bus with metas has published."""
    bus = bus_of(lib)
    for meta in metas:
        bus = bus.with_meta(meta)
    bus.publish(event)
    return meta_of(bus.published[0] if hasattr(bus, "published") else event)


def saved(lib: Library) -> tuple[Any, Any]:
    """Return a repository in memory with a task in it, and the task."""
    tasks, task = lib.InmemoryCrudRepository(), lib.Task()
    tasks.save(task)
    return tasks, task


def answered(lib: Library, function: Callable[[], Any]) -> tuple[int, Any]:
    """Return the status and the body that a route of FastAPI answers where `function` returns a Result."""
    for needed in ("fastapi", "httpx"):
        pytest.importorskip(needed, reason=f"{needed} isn't installed")
    import httpx  # noqa: PLC0415  # may not be there
    from fastapi import FastAPI  # noqa: PLC0415  # as above

    async def asked(app: FastAPI) -> tuple[int, Any]:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            answer = await client.get("/")
        return answer.status_code, answer.json()

    def route() -> Any:
        return lib.shown(function)

    app = FastAPI(exception_handlers=lib.handlers())
    app.get("/", response_model=None)(route)
    return asyncio.run(asked(app))


@frozen
class Row:
    """A behaviour: what shows it in petisco, in domainkit where it is written in another way, and what comes of it."""

    behaviour: str
    there: Callable[[Library], object]
    here: Callable[[Library], object] | None
    petisco: object
    domainkit: object


ROWS = (
    # Values and ids
    Row(
        "two ids with one text, of two classes",
        lambda lib: lib.TaskId(TEXT) == lib.Uuid(TEXT),
        lambda lib: lib.TaskId.from_str(TEXT) == lib.Uuid.from_str(TEXT),
        True,
        False,
    ),
    Row(
        "an id and its text",
        lambda lib: lib.Uuid(TEXT) == TEXT,
        lambda lib: lib.Uuid.from_str(TEXT) == TEXT,
        True,
        False,
    ),
    Row(
        "a UUID in upper and in lower case",
        lambda lib: (lib.Uuid(TEXT) == lib.Uuid(UPPER), str(lib.Uuid(UPPER))),
        lambda lib: (lib.Uuid.from_str(TEXT) == lib.Uuid.from_str(UPPER), str(lib.Uuid.from_str(UPPER))),
        (False, "A7F8FB8E-6A0B-4F3E-9A55-1D6F0C2B4E11"),
        (True, "a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11"),
    ),
    Row(
        "a UUID without hyphens",
        lambda lib: str(lib.Uuid(BARE)),
        lambda lib: str(lib.Uuid.from_str(BARE)),
        "a7f8fb8e6a0b4f3e9a551d6f0c2b4e11",
        "a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11",
    ),
    Row(
        "a text that isn't a UUID, or None, for an id",
        lambda lib: [outcome(lambda: lib.Uuid("7d2b")), outcome(lambda: lib.Uuid(None))],
        lambda lib: [outcome(lambda: lib.Uuid.from_value("7d2b")), outcome(lambda: lib.Uuid.from_value(None))],
        ["<InvalidUuid>", "<InvalidUuid>"],
        ["<InvalidUuid>", "<InvalidUuid>"],
    ),
    Row(
        "the text of `InvalidUuid`",
        lambda lib: "7d2b" in told(lambda: lib.Uuid("7d2b")),
        lambda lib: "7d2b" in told(lambda: lib.Uuid.from_str("7d2b")),
        True,
        False,
    ),
    Row("`v4()` of a derived class of ids", lambda lib: type(lib.TaskId.v4()) is lib.TaskId, None, True, True),
    Row(
        "value objects of one class with one value",
        lambda lib: (lib.Title("a") == lib.Title("a"), len({lib.Title("a"), lib.Title("a")})),
        None,
        (True, 1),
        (True, 1),
    ),
    Row("value objects of two classes with one value", lambda lib: lib.Title("a") == lib.Name("a"), None, False, False),
    Row("`from_value`", lambda lib: lib.Title.from_value("a").value, None, "a", "a"),
    Row(
        "changing a value object",
        lambda lib: outcome(lambda: setattr(lib.Title("a"), "value", "b")),
        None,
        "<TypeError>",
        "<FrozenInstanceError>",
    ),
    Row('`"5"` for an int', lambda lib: outcome(lambda: lib.Count("5").value), None, 5, "<InvalidValueObject>"),
    Row(
        "a value of another type",
        lambda lib: (outcome(lambda: lib.Count("hunter2")), "hunter2" in told(lambda: lib.Count("hunter2"))),
        None,
        ("<ValidationError>", True),
        ("<InvalidValueObject>", False),
    ),
    Row(
        "None for a text",
        lambda lib: outcome(lambda: lib.Title(None)),
        None,
        "<ValidationError>",
        "<InvalidValueObject>",
    ),
    Row(
        "the text of a value object, `str()`",
        lambda lib: str(lib.Title("a")).rpartition(".")[2],
        None,
        "value='a'",
        "Title(value='a')",
    ),
    # Aggregates
    Row(
        "a field passed by position",
        lambda lib: outcome(lambda: lib.Task("Buy bread").title),
        None,
        "<TypeError>",
        "Buy bread",
    ),
    Row(
        "a misspelt field",
        lambda lib: outcome(lambda: lib.Task(titel="Buy bread").title),
        None,
        "Buy milk",
        "<TypeError>",
    ),
    Row(
        "a plain field of another type",
        lambda lib: outcome(lambda: lib.Task(title=5).title),
        None,
        "<ValidationError>",
        5,
    ),
    Row(
        "the text of an id for `aggregate_id`",
        lambda lib: type(lib.Task(aggregate_id=TEXT).aggregate_id).__name__,
        lambda lib: outcome(lambda: lib.Task(aggregate_id=TEXT)),
        "Uuid",
        "<TypeError>",
    ),
    Row(
        "version 0",
        lambda lib: outcome(lambda: lib.Task(aggregate_version=0).aggregate_version),
        None,
        1,
        "<ValueError>",
    ),
    Row(
        "a new aggregate",
        lambda lib: (lib.Task().aggregate_id == lib.Task().aggregate_id, lib.Task().aggregate_version),
        None,
        (False, 1),
        (False, 1),
    ),
    Row(
        "equality of an aggregate and itself with an event",
        lambda lib: (
            (one := lib.Task(aggregate_id=TEXT))
            == after(one.model_copy(deep=True), lambda task: task.record(lib.TaskCreated()))
        ),
        lambda lib: (one := lib.Task()) == one.record(lib.TaskCreated()),
        False,
        True,
    ),
    Row("an aggregate in a set", lambda lib: outcome(lambda: len({lib.Task()})), None, "<TypeError>", 1),
    Row(
        "recording an object that isn't an event",
        lambda lib: outcome(lambda: lib.Task().record("x")),
        None,
        None,
        "<TypeError>",
    ),
    Row(
        "the first event of an empty list",
        lambda lib: lib.Task().get_first_domain_event(),
        lambda lib: outcome(lambda: lib.Task().domain_events[0]),
        None,
        "<IndexError>",
    ),
    Row(
        "the returned events",
        lambda lib: type(lib.Task().get_domain_events()).__name__,
        lambda lib: type(lib.Task().domain_events).__name__,
        "list",
        "tuple",
    ),
    # Messages
    Row(
        "the name of a class",
        lambda lib: [cls.info().name for cls in (lib.TaskCreated, lib.HTTPCall)],
        None,
        ["task.created", "h.t.t.p.call"],
        ["task.created", "h.t.t.p.call"],
    ),
    Row(
        "the keys of the envelope",
        lambda lib: sorted(lib.TaskCreated().format()["data"]),
        lambda lib: sorted(lib.TaskCreated().dict()["data"]),
        ["attributes", "id", "meta", "occurred_on", "type", "type_message", "version"],
        ["attributes", "id", "meta", "occurred_on", "type", "type_message", "version"],
    ),
    Row(
        "the JSON",
        lambda lib: lib.TaskCreated().format_json()[:9],
        lambda lib: lib.TaskCreated().json()[:9],
        '{"data": ',
        '{"data":{',
    ),
    Row(
        "the type of a command",
        lambda lib: lib.HTTPCall().format()["data"]["type_message"],
        lambda lib: lib.HTTPCall().dict()["data"]["type_message"],
        "command",
        "command",
    ),
    Row("the version of a class without `Config`", lambda lib: lib.TaskCreated.info().version, None, 1, 1),
    Row(
        "the time of a message",
        lambda lib: str(lib.TaskCreated().get_message_occurred_on().tzinfo),
        lambda lib: str(lib.TaskCreated().header.occurred_on.tzinfo),
        "UTC",
        "UTC",
    ),
    Row(
        "a field passed by position to an event",
        lambda lib: outcome(lambda: lib.TaskCreated("a").title),
        None,
        "<TypeError>",
        "a",
    ),
    Row(
        "a field that the event doesn't have",
        lambda lib: outcome(lambda: lib.TaskCreated(due="now").due),
        None,
        "now",
        "<TypeError>",
    ),
    Row(
        "changing an event",
        lambda lib: attributes(after(lib.TaskCreated(), lambda event: setattr(event, "title", "b"))),
        lambda lib: outcome(lambda: setattr(lib.TaskCreated(), "title", "b")),
        {"title": "Buy milk"},
        "<FrozenInstanceError>",
    ),
    Row(
        "two events with one payload",
        lambda lib: lib.TaskCreated(title="a") == lib.TaskCreated(title="a"),
        None,
        False,
        False,
    ),
    Row("an event in a set", lambda lib: len({event := lib.TaskCreated(), event}), None, 1, 1),
    Row(
        "`add_meta` of an object that isn't a mapping",
        lambda lib: after(lib.TaskCreated(), lambda event: event.add_meta(["x"])).get_message_meta(),
        lambda lib: outcome(lambda: lib.TaskCreated().add_meta(["x"])),
        ["x"],
        "<TypeError>",
    ),
    Row(
        "a meta that its owner changes later",
        lambda lib: (
            meta := {"a": 1},
            event := after(lib.TaskCreated(), lambda event: event.add_meta(meta)),
            meta.update(b=2),
            meta_of(event),
        )[-1],
        lambda lib: (meta := {"a": 1}, event := lib.TaskCreated().add_meta(meta), meta.update(b=2), meta_of(event))[-1],
        {"a": 1, "b": 2},
        {"a": 1},
    ),
    Row(
        "an attribute that is missing, of a field with a default",
        lambda lib: read(lib, envelope(attributes={})).title,
        None,
        "Buy milk",
        "Buy milk",
    ),
    Row(
        "an attribute that no field has",
        lambda lib: read(lib, envelope(attributes={"title": "a", "due": "now"})).due,
        lambda lib: hasattr(read(lib, envelope(attributes={"title": "a", "due": "now"})), "due"),
        "now",
        False,
    ),
    Row(
        "the type of another message",
        lambda lib: read(lib, envelope(type="task.done")).get_message_name(),
        lambda lib: outcome(lambda: read(lib, envelope(type="task.done"))),
        "task.done",
        "<InvalidMessage>",
    ),
    Row(
        "the kind of another message",
        lambda lib: read(lib, envelope(type_message="command")).get_message_type(),
        lambda lib: outcome(lambda: read(lib, envelope(type_message="command"))),
        "command",
        "<InvalidMessage>",
    ),
    Row(
        "another version",
        lambda lib: read(lib, envelope(version=7)).get_message_version(),
        lambda lib: outcome(lambda: read(lib, envelope(version=7))),
        7,
        "<InvalidMessage>",
    ),
    Row(
        "input that isn't JSON",
        lambda lib: outcome(lambda: read(lib, "{")),
        None,
        "<JSONDecodeError>",
        "<InvalidMessage>",
    ),
    Row(
        "a Decimal, or a `uuid.UUID`",
        lambda lib: [
            outcome(lambda: attributes(lib.TaskRated(title=Decimal("1.50")))),
            outcome(lambda: attributes(lib.TaskLinked(title=UUID(TEXT)))),
        ],
        None,
        ["<TypeError>", "<TypeError>"],
        [{"title": "1.50"}, {"title": "a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11"}],
    ),
    Row(
        "value objects in a collection",
        lambda lib: outcome(lambda: attributes(lib.TaskSplit(title=(lib.Title("a"),)))),
        None,
        "<TypeError>",
        {"title": ["a"]},
    ),
    Row(
        "NaN",
        lambda lib: outcome(lambda: str(attributes(lib.TaskWeighed(title=float("nan")))["title"])),
        None,
        "nan",
        "<InvalidMessage>",
    ),
    # Errors
    Row(
        "`detail()` of an error with an id and information",
        lambda lib: lib.DomainError(uuid_value="7d2b", additional_info={"a": 1}).detail(),
        None,
        "DomainError (7d2b) [{'a': 1}]",
        "DomainError (7d2b) [{'a': 1}]",
    ),
    Row(
        "`detail()` of a derived class, and `str()`",
        lambda lib: (lib.Missing().detail(), str(lib.Missing())),
        None,
        ("Missing", "Missing"),
        ("Missing", "Missing"),
    ),
    Row("`detail()` of `NotAllowed`", lambda lib: lib.NotAllowed().detail(), None, "Not Allowed", "NotAllowed"),
    Row(
        "`detail()` of `BusCannotPublish`",
        lambda lib: lib.BusCannotPublish().detail(),
        None,
        "Unable to finish all the actions of this operation",
        "BusCannotPublish",
    ),
    Row(
        "an id passed by position",
        lambda lib: outcome(lambda: lib.NotFound("7d2b").uuid_value),
        None,
        "7d2b",
        "<TypeError>",
    ),
    Row(
        "errors of one class about two things",
        lambda lib: lib.NotFound(uuid_value="a") == lib.NotFound(uuid_value="b"),
        None,
        True,
        False,
    ),
    Row("errors of two classes", lambda lib: lib.NotFound() == lib.AlreadyExists(), None, False, False),
    Row(
        "an error in a set",
        lambda lib: outcome(lambda: len({lib.NotFound(), lib.NotFound()})),
        None,
        "<AttributeError>",
        1,
    ),
    Row(
        "information that is added later",
        lambda lib: after(lib.NotFound(), lambda error: error.set_additional_info({"a": 1})).detail(),
        lambda lib: lib.NotFound(additional_info={"a": 1}).detail(),
        "NotFound",
        "NotFound [{'a': 1}]",
    ),
    Row(
        "`AggregateNotFoundError` with an id",
        lambda lib: lib.AggregateNotFoundError(lib.Uuid(TEXT), "tasks").detail().replace(TEXT, "id"),
        lambda lib: lib.AggregateNotFoundError(lib.Uuid.from_str(TEXT), "tasks").detail().replace(TEXT, "id"),
        "AggregateNotFoundError (id) [{'message': 'Aggregate (id) not found (repository: tasks)'}]",
        "AggregateNotFoundError (id) [{'message': 'Aggregate (id) not found (repository: tasks)'}]",
    ),
    Row(
        "`AggregateNotFoundError` with None for the id",
        lambda lib: lib.AggregateNotFoundError(None, "tasks").detail(),
        None,
        "AggregateNotFoundError [{'message': 'Aggregate not found (repository: tasks)'}]",
        "AggregateNotFoundError [{'message': 'Aggregate not found (repository: tasks)'}]",
    ),
    Row(
        "`AggregateNotFoundError()`",
        lambda lib: outcome(lambda: lib.AggregateNotFoundError().additional_info["message"]),
        None,
        "<TypeError>",
        "Aggregate not found",
    ),
    Row(
        "`AggregateAlreadyExistError` with a table",
        lambda lib: (
            lib.AggregateAlreadyExistError(lib.Uuid(TEXT), "tasks", "task")
            .additional_info["message"]
            .replace(TEXT, "id")
        ),
        lambda lib: (
            lib.AggregateAlreadyExistError(lib.Uuid.from_str(TEXT), "tasks", "task")
            .additional_info["message"]
            .replace(TEXT, "id")
        ),
        "Aggregate (id) already exist (repository: tasks) (table: task)",
        "Aggregate (id) already exist (repository: tasks) (table: task)",
    ),
    Row(
        "`AggregateAlreadyExistError` without a table",
        lambda lib: "table" in lib.AggregateAlreadyExistError(lib.Uuid(TEXT), "tasks").detail(),
        lambda lib: "table" in lib.AggregateAlreadyExistError(lib.Uuid.from_str(TEXT), "tasks").detail(),
        True,
        False,
    ),
    Row(
        "`AggregatesNotFoundError`",
        lambda lib: lib.AggregatesNotFoundError("tasks").additional_info["message"],
        None,
        "Aggregates not found (repository: tasks)]",
        "Aggregates not found (repository: tasks)",
    ),
    Row(
        "`ClientNotFound`, `UserNotFound`, `AggregateNotFoundError`: are they a `NotFound`?",
        lambda lib: [
            issubclass(cls, lib.NotFound) for cls in (lib.ClientNotFound, lib.UserNotFound, lib.AggregateNotFoundError)
        ],
        None,
        [False, False, False],
        [True, True, True],
    ),
    Row(
        "`BusCannotPublish`: is it a `CriticalError`?",
        lambda lib: issubclass(lib.BusCannotPublish, lib.CriticalError),
        None,
        True,
        True,
    ),
    Row("an error without information", lambda lib: lib.NotFound().additional_info, None, None, None),
    Row(
        "`type_error` of a class derived from `HttpError`",
        lambda lib: lib.OwnHttpError().type_error,
        None,
        "OwnHttpError",
        "HttpError",
    ),
    # Use cases and services
    Row(
        "a bug in `execute`",
        lambda lib: of(lib.Run().execute(lambda: fail(KeyError()))),
        lambda lib: of(lib.Run()(lambda: fail(KeyError()))),
        "<UseCaseUncontrolledError>",
        "<UnknownError>",
    ),
    Row(
        "`execute` called directly",
        lambda lib: outcome(lambda: of(lib.Run().execute(lambda: fail(KeyError())))),
        None,
        "<UseCaseUncontrolledError>",
        "<KeyError>",
    ),
    Row(
        "a Failure that is unwrapped inside",
        lambda lib: of(lib.Run().execute(lambda: meiga.Failure(lib.Missing()).unwrap_or_return())),
        lambda lib: of(lib.Run()(lambda: Failure(lib.Missing()).unwrap())),
        "<Missing>",
        "<Missing>",
    ),
    Row(
        "a `DomainError` that is raised inside",
        lambda lib: of(lib.Run().execute(lambda: fail(lib.Missing()))),
        lambda lib: of(lib.Run()(lambda: fail(lib.Missing()))),
        "<Missing>",
        "<UnknownError>",
    ),
    Row(
        "an `execute` that returns no Result",
        lambda lib: lib.Run().execute(lambda: None),
        lambda lib: of(lib.Run()(lambda: None)),
        None,
        "<UnknownError>",
    ),
    Row(
        "a class without `execute`",
        lambda lib: outcome(lambda: type("Empty", (lib.UseCase,), {})().execute),
        None,
        "<NotImplementedError>",
        "<TypeError>",
    ),
    Row(
        "a class derived from one with `execute`",
        lambda lib: outcome(lambda: type("Derived", (lib.Run,), {}).__name__),
        None,
        "<NotImplementedError>",
        "Derived",
    ),
    Row(
        "an exception in an `AppService`",
        lambda lib: outcome(lambda: lib.Service().execute(lambda: fail(KeyError()))),
        None,
        "<KeyError>",
        "<KeyError>",
    ),
    # Buses and subscribers
    Row(
        "publishing no events",
        lambda lib: bus_of(lib).publish([]) is None,
        lambda lib: of(bus_of(lib).publish([])) is None,
        True,
        True,
    ),
    Row(
        "publishing an object that isn't a message",
        lambda lib: outcome(lambda: bus_of(lib).publish([5])),
        None,
        "<TypeError>",
        "<TypeError>",
    ),
    Row(
        "a command on a bus for events",
        lambda lib: outcome(lambda: bus_of(lib).publish([lib.HTTPCall()])),
        None,
        "<TypeError>",
        "<TypeError>",
    ),
    Row(
        "several commands for `dispatch`",
        lambda lib: lib.NotImplementedCommandBus().dispatch([lib.HTTPCall(), lib.HTTPCall()]),
        lambda lib: outcome(lambda: lib.InmemoryCommandBus().dispatch([lib.HTTPCall(), lib.HTTPCall()])),
        None,
        "<TypeError>",
    ),
    Row(
        "`with_meta` of an object that isn't a mapping",
        lambda lib: outcome(lambda: bus_of(lib).with_meta(["a"])),
        None,
        "<TypeError>",
        "<TypeError>",
    ),
    Row(
        "`with_meta` twice",
        lambda lib: sent(lib, lib.TaskCreated(), {"a": 1}, {"b": 2}),
        None,
        {"b": 2},
        {"a": 1, "b": 2},
    ),
    Row(
        "a key of the bus that the event has too",
        lambda lib: sent(lib, after(lib.TaskCreated(), lambda event: event.add_meta({"a": 1, "c": 3})), {"a": 2}),
        lambda lib: sent(lib, lib.TaskCreated().add_meta({"a": 1, "c": 3}), {"a": 2}),
        {"a": 2, "c": 3},
        {"a": 2, "c": 3},
    ),
    Row(
        "an event that was published with meta",
        lambda lib: (event := lib.TaskCreated(), sent(lib, event, {"a": 2}), meta_of(event))[-1],
        None,
        {"a": 2},
        {},
    ),
    Row(
        "publishing to a bus that is closed",
        lambda lib: after(bus_of(lib), lambda bus: bus.close()).publish(lib.TaskCreated()),
        lambda lib: of(after(bus_of(lib), lambda bus: bus.close()).publish(lib.TaskCreated())),
        None,
        "<BusCannotPublish>",
    ),
    Row("a subscriber that returns None", lambda lib: outcome(lambda: of(lib.handle(None))), None, "<TypeError>", None),
    Row(
        "a subscriber that returns a Failure",
        lambda lib: of(lib.handle(meiga.Failure(lib.Missing()))),
        lambda lib: of(lib.handle(Failure(lib.Missing()))),
        "<Missing>",
        "<MessageRefused>",
    ),
    # Repositories in memory
    Row(
        "saving one aggregate twice",
        lambda lib: (one := saved(lib), of(one[0].save(one[1])))[-1],
        None,
        "<AggregateAlreadyExistError>",
        "<AggregateAlreadyExistError>",
    ),
    Row(
        "retrieving, updating or removing an unknown id",
        lambda lib: [
            of(lib.InmemoryCrudRepository().retrieve(lib.TaskId.v4())),
            of(lib.InmemoryCrudRepository().update(lib.Task())),
            of(lib.InmemoryCrudRepository().remove(lib.TaskId.v4())),
        ],
        None,
        ["<AggregateNotFoundError>", "<AggregateNotFoundError>", "<AggregateNotFoundError>"],
        ["<AggregateNotFoundError>", "<AggregateNotFoundError>", "<AggregateNotFoundError>"],
    ),
    Row(
        "the text of that error",
        lambda lib: "repository" in lib.InmemoryCrudRepository().retrieve(lib.TaskId.v4()).value.detail(),
        lambda lib: "repository" in lib.InmemoryCrudRepository().retrieve(lib.TaskId.v4()).failure().detail(),
        False,
        True,
    ),
    Row(
        "the return value of `save`",
        lambda lib: of(lib.InmemoryCrudRepository().save(lib.Task())) is True,
        None,
        True,
        False,
    ),
    Row(
        "all aggregates of an empty repository",
        lambda lib: of(lib.InmemoryCrudRepository().retrieve_all()),
        None,
        [],
        (),
    ),
    Row(
        "updating an aggregate that was updated meanwhile",
        lambda lib: (one := saved(lib), one[0].update(one[1]), of(one[0].update(one[1])))[-1],
        None,
        True,
        "<AggregateVersionConflictError>",
    ),
    Row(
        "the version after an update",
        lambda lib: (one := saved(lib), one[0].update(one[1]), of(one[0].retrieve_all())[0].aggregate_version)[-1],
        None,
        1,
        2,
    ),
    Row(
        "an aggregate that is changed after it was saved",
        lambda lib: (
            one := saved(lib),
            one[1].record(lib.TaskCreated()),
            len(of(one[0].retrieve_all())[0].get_domain_events()),
        )[-1],
        lambda lib: (
            one := saved(lib),
            one[1].record(lib.TaskCreated()),
            len(of(one[0].retrieve_all())[0].domain_events),
        )[-1],
        1,
        0,
    ),
    Row(
        "the text of an id for `retrieve`",
        lambda lib: (one := saved(lib), outcome(lambda: of(one[0].retrieve(str(one[1].aggregate_id))).title))[-1],
        None,
        "Buy milk",
        "<TypeError>",
    ),
    # Notifiers
    Row(
        "a message without meta",
        lambda lib: lib.NotifierMessage(title="a").meta,
        lambda lib: dict(lib.NotifierMessage(title="a").meta),
        None,
        {},
    ),
    Row(
        "a title passed by position",
        lambda lib: outcome(lambda: lib.NotifierMessage("a").title),
        None,
        "<TypeError>",
        "a",
    ),
    Row(
        "`files=`", lambda lib: outcome(lambda: lib.NotifierMessage(title="a", files=[]).files), None, [], "<TypeError>"
    ),
    # HTTP, in FastAPI
    Row(
        "the statuses of the default map",
        lambda lib: [
            lib.DEFAULT_HTTP_ERROR_MAP[cls].status_code
            for cls in (lib.NotFound, lib.AlreadyExists, lib.InvalidUuid, lib.InvalidValueObject)
        ],
        None,
        [404, 409, 422, 500],
        [404, 409, 422, 500],
    ),
    Row(
        "a Success with a value",
        lambda lib: answered(lib, lambda: meiga.Success("a")),
        lambda lib: answered(lib, lambda: Success("a")),
        (200, {"result": "a"}),
        (200, "a"),
    ),
    Row(
        "a Success without a value",
        lambda lib: answered(lib, lambda: meiga.isSuccess),
        lambda lib: answered(lib, lambda: Success(None)),
        (200, {"message": "ok"}),
        (200, None),
    ),
    Row(
        "a Failure",
        lambda lib: answered(lib, lambda: meiga.Failure(lib.NotFound())),
        lambda lib: answered(lib, lambda: Failure(lib.NotFound())),
        (404, {"detail": "NotFound"}),
        (404, {"type": "/problems/not-found", "title": "Not Found", "status": 404}),
    ),
    Row(
        "an error derived from `NotFound`",
        lambda lib: answered(lib, lambda: meiga.Failure(lib.Missing()))[0],
        lambda lib: answered(lib, lambda: Failure(lib.Missing()))[0],
        500,
        404,
    ),
    Row(
        "the body of a 500 for an error",
        lambda lib: answered(lib, lambda: meiga.Failure(lib.CriticalError(uuid_value="hunter2"))),
        lambda lib: answered(lib, lambda: Failure(lib.CriticalError(uuid_value="hunter2"))),
        (500, {"detail": "CriticalError (hunter2)"}),
        (500, {"type": "about:blank", "title": "Internal Server Error", "status": 500}),
    ),
    Row(
        "a bug",
        lambda lib: answered(lib, lambda: fail(KeyError())),
        None,
        (500, {"detail": "Unknown Error"}),
        (500, {"type": "about:blank", "title": "Internal Server Error", "status": 500}),
    ),
    # On RabbitMQ
    Row(
        "the routing key of an event",
        lambda lib: lib.routing_key(lib.TaskCreated()),
        None,
        "acme.tasks.1.event.task_created",
        "acme.tasks.1.event.task_created",
    ),
    Row(
        "the routing key of a command",
        lambda lib: lib.routing_key(lib.HTTPCall()),
        None,
        "acme.tasks.1.command.h_t_t_p_call",
        "acme.tasks.1.command.h_t_t_p_call",
    ),
)
THERE, HERE = of_petisco(), of_domainkit()


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Keep what both libraries log of bugs out of the way."""
    with caplog.at_level(logging.CRITICAL), warnings.catch_warnings(action="ignore"):
        yield


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.behaviour)
def test_both_libraries_do_what_the_page_says(row: Row) -> None:
    """A row of the page gives the outcome in petisco 2.2.3, and here."""
    assert row.petisco == row.there(THERE)
    assert row.domainkit == (row.here or row.there)(HERE)


def test_the_page_has_these_rows() -> None:
    """The page has each behaviour once, in this order, and says "The same" of those alone that are."""
    chapter = PAGE.partition("## Behaviour by behaviour")[2].partition("\n## ")[0]
    found = re.findall(r"^\| (?!petisco|---)(.+?) \| .+ \| (The same|Fixed|Different)\b.* \|$", chapter, re.MULTILINE)

    assert [(row.behaviour, row.petisco == row.domainkit) for row in ROWS] == [
        (behaviour, verdict == "The same") for behaviour, verdict in found
    ]

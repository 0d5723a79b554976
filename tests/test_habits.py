"""Names that petisco and pydantic use by themselves: a class that has one is refused, and nothing else is."""

import warnings
from collections.abc import Callable
from typing import Any, ClassVar

import pydantic
import pytest
from attrs import field, frozen
from returns.result import Result, Success

from domainkit import (
    AggregateRoot,
    AppService,
    AsyncCommandBus,
    AsyncMiddleware,
    AsyncUseCase,
    Command,
    CrudRepository,
    DomainError,
    DomainEvent,
    DomainEventBus,
    HttpError,
    InmemoryDomainEventBus,
    Mediator,
    Middleware,
    NotFound,
    Notifier,
    NotifierMessage,
    UseCase,
    Uuid,
    ValueObject,
)
from domainkit._model.habits import HABITS

MODELS = (AggregateRoot, Command, DomainEvent, HttpError, NotFound, NotifierMessage, Uuid, ValueObject)
BASES: dict[str, tuple[type, ...]] = {
    "DomainError": (DomainError, NotFound),
    "Message": (DomainEvent, Command),
    "ValueObject": (ValueObject,),
    "AggregateRoot": (AggregateRoot,),
    "HttpError": (HttpError,),
    "NotifierMessage": (NotifierMessage,),
    "Frozen": MODELS,
    "_BusWithMeta": (DomainEventBus, InmemoryDomainEventBus, AsyncCommandBus),
    "Service": (UseCase, AsyncUseCase, AppService, CrudRepository, DomainEventBus, Notifier),
    "Middleware": (Middleware,),
    "AsyncMiddleware": (AsyncMiddleware,),
}
ROWS = [
    pytest.param(base, name, remedy, id=f"{base.__name__}-{name}")
    for kind, bases in BASES.items()
    for base in bases
    for name, remedy in HABITS[kind].items()
]


def body(name: str) -> dict[str, object]:
    """Return the body of a class that has the name, of a nested `class Config` where it says so."""
    nested = name.removeprefix("Config.")
    return {name: lambda self: None} if nested == name else {"Config": type("Config", (), {nested: True})}


@pytest.mark.parametrize(("base", "name", "remedy"), ROWS)
def test_a_habit_is_refused(base: type, name: str, remedy: str) -> None:
    """A name that petisco uses, and this library doesn't, is refused at definition: class, name and remedy."""
    with pytest.raises(TypeError) as refused:
        type("Odd", (base,), body(name))

    assert f"Odd.{name}: petisco uses it; domainkit doesn't; {remedy}" == str(refused.value)


@pytest.mark.parametrize("name", ["get_aggregate_root", "get_sql_model", "get_sql_model_type"])
@pytest.mark.parametrize("base", ["SqlCrudRepository", "AsyncSqlCrudRepository"])
def test_a_habit_of_a_repository_is_refused(base: str, name: str) -> None:
    """Methods that fill columns in petisco are refused in one that stores JSON; one written by hand may have them."""
    sqlalchemy = pytest.importorskip("domainkit.adapters.sqlalchemy", reason="the extra sql isn't installed")
    with pytest.raises(TypeError, match=rf"^Odd\.{name}: petisco uses it; domainkit doesn't; pass `mapper=`"):
        type("Odd", (getattr(sqlalchemy, base),), body(name))

    assert type("Own", (CrudRepository,), body(name))


def test_every_row_is_tried() -> None:
    """The classes that are tried are those of the table."""
    assert HABITS.keys() == BASES.keys() | {"SqlCrudRepository", "AsyncSqlCrudRepository"}


def deprecated(name: str) -> Callable[..., Any]:
    """Return a decorator of pydantic's first version."""
    with warnings.catch_warnings(action="ignore"):
        made: Callable[..., Any] = getattr(pydantic, name)
        return made


def with_warnings_off(make: Callable[[], object]) -> object:
    """Return what is made, of something that pydantic would have nobody use."""
    with warnings.catch_warnings(action="ignore"):
        return make()


def check(_: object, value: object) -> object:
    """Return what a validator is given."""
    return value


PARTS: dict[str, Callable[[], object]] = {
    "field_validator": lambda: pydantic.field_validator("value")(classmethod(check)),
    "validator": lambda: deprecated("validator")("value")(check),
    "model_validator": lambda: pydantic.model_validator(mode="before")(check),
    "root_validator": lambda: deprecated("root_validator")(pre=True)(check),
    "field_serializer": lambda: pydantic.field_serializer("value")(check),
    "model_serializer": lambda: pydantic.model_serializer(lambda self: {}),
    "computed_field": lambda: pydantic.computed_field(property(lambda self: 1)),
    "Field": lambda: pydantic.Field(max_length=3),
    "PrivateAttr": lambda: pydantic.PrivateAttr(default=()),
}


@pytest.mark.parametrize("base", MODELS)
@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_pydantic_is_refused(base: type, part: str) -> None:
    """A decorator or function of pydantic in a class body would have no effect: it is refused, with a remedy."""
    made = with_warnings_off(PARTS[part])
    with pytest.raises(TypeError, match=r"^Odd\.part: pydantic uses it; domainkit doesn't; (write|check|register) "):
        type("Odd", (base,), {"part": made})


def test_a_default_of_pydantic_is_refused() -> None:
    """A `Field()` in the place of a default is refused, rather than taken for the default."""
    with pytest.raises(
        TypeError, match=r"TaskCreated\.title: pydantic uses it; domainkit doesn't; write `attrs\.field\("
    ):

        @frozen
        class TaskCreated(DomainEvent):
            title: str = pydantic.Field(default="Buy milk")


class TestNotRefused:
    def test_fields(self) -> None:
        """A payload may have a field by such a name."""

        @frozen
        class Exported(DomainEvent):
            format: str
            model_config: str
            get_message_name: bool
            update_meta: bool = True

        assert Exported("csv", "tiny", get_message_name=False).update_meta

    def test_a_validator_of_attrs(self) -> None:
        """A method above which `@value.validator` stands may be called `validate_value`."""

        @frozen
        class Title(ValueObject[str]):
            value: str = field()

            @value.validator
            def validate_value(self, _: object, value: str) -> None:
                if not value:
                    raise ValueError("a title is not empty")

        assert "a title is not empty" in Title.parse("").failure().detail()

    def test_a_config_of_ones_own(self) -> None:
        """A nested class called Config may be of the domain, or hold something else."""

        @frozen
        class Plan(AggregateRoot):
            @frozen
            class Config:
                extra: str

            config: Config

        class Export(UseCase[[], str, DomainError]):
            class Config:
                folder: ClassVar[str] = "out"

            def execute(self) -> Result[str, DomainError]:
                return Success(self.Config.folder)

        assert "allow" == Plan(Plan.Config("allow")).config.extra
        assert Success("out") == Export()()

    def test_a_middleware_that_calls_them(self) -> None:
        """A middleware with a `__call__` may have methods `before` and `after`, which that calls."""
        seen: list[str] = []

        class Printing(Middleware):
            def before(self) -> None:
                seen.append("before")

            def __call__(self, command: Any, proceed: Callable[[Any], Result[Any, Any]], /) -> Result[Any, Any]:
                self.before()
                return proceed(command)

        Mediator().within(Printing()).send(Command())

        assert ["before"] == seen

    def test_methods_of_ones_own(self) -> None:
        """A name outside the table is left alone, even if it is one of petisco's that only users call."""

        class TaskCreated(DomainEvent):
            def get_message_id(self) -> str:
                return str(self.header.id)

            def format(self) -> str:
                return "created"

        assert "created" == TaskCreated().format()


def test_a_middleware_needs_a_call() -> None:
    """A class derived from Middleware without a `__call__` can't be made, where it would answer None."""

    class Forgetful(Middleware): ...

    with pytest.raises(TypeError, match="__call__"):
        Forgetful()  # type: ignore[abstract]  # refused by mypy too

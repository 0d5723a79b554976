"""Claims of the page for petisco users about the two libraries that its own examples don't show."""

import ast
import re
from pathlib import Path
from typing import Annotated, Any, ClassVar

import petisco
import pytest
from attrs import frozen
from attrs.exceptions import FrozenInstanceError
from meiga import AnyResult, isSuccess
from pydantic import BaseModel
from returns.result import Result

import domainkit
from domainkit._model.habits import HABITS

PAGE = (Path(__file__).parent.parent / "docs" / "coming-from-petisco.md").read_text("utf-8").replace("\n  ", " ")
"""The page, with each item of a list on one line."""

TEXT = "a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11"


def test_every_name_of_petisco_has_an_item() -> None:
    """Each public name of petisco stands before the arrow or the colon of an item."""
    items = re.findall(r"^- (`.*?)(?: →|: )", PAGE, re.MULTILINE)
    spoken_of = {name for item in items for name in re.findall(r"`(\w+)[`(.\[]", item)}

    assert set() == set(petisco.__all__) - spoken_of


def spoken_of() -> set[str]:
    """Return the words in code on the page."""
    return {word for code in re.findall(r"`([^`]+)`", PAGE) for word in re.findall(r"\w+", code)}


def test_every_name_of_an_extra_has_a_place() -> None:
    """Each name that an extra of petisco exports stands on the page, whether its library is installed here or not."""
    parts = sorted((Path(petisco.__file__).parent / "extra").glob("*/__init__.py"))
    imports = (node for part in parts for node in ast.walk(ast.parse(part.read_text("utf-8"))))
    names = {alias.asname or alias.name for node in imports if isinstance(node, ast.ImportFrom) for alias in node.names}

    assert len(names) > 60
    assert {name for name in names if name.startswith("is_")} == names - spoken_of()


def test_every_method_has_a_place() -> None:
    """Each public method of a public class of petisco stands on the page, but for validators of its own fields."""
    classes = [getattr(petisco, name) for name in petisco.__all__]
    methods = {
        name
        for cls in classes
        if isinstance(cls, type) and cls.__module__.startswith("petisco.")
        for name, value in vars(cls).items()
        if not name.startswith(("_", "model_")) and "Descriptor" not in type(value).__name__
    }
    own_fields = {"set_aggregate_id", "set_aggregate_version", "serialize_aggregate_id", "prevent_type_error_none"}

    assert len(methods) > 80
    assert own_fields | {"get"} == methods - spoken_of()  # `Container.get`


def test_what_is_refused_has_a_place() -> None:
    """Each name that is refused, since petisco uses it, stands in the list of those."""
    chapter = PAGE.partition("## What is refused")[2].partition("\n## ")[0]
    refused = {name.removeprefix("Config.") for names in HABITS.values() for name in names}

    assert set() == refused - set(re.findall(r"`(\w+)`", chapter))


ONLY_CALLED_BY_USERS = {
    "get_specify_detail", "get_message_attributes", "get_message_id", "get_message_meta", "get_domain_events",
    "get_first_domain_event", "get_last_domain_event", "publish", "update_meta", "input_parameters",  # Python says so
    "info",  # an ordinary name, which an Application asks for that has no counterpart
    "get_meta_from_input", "scope", "set_data", "wrapped_class_input_arguments", "wrapped_class_name",  # with `before`
    "serialize_aggregate_id", "set_aggregate_id", "set_aggregate_version", "prevent_type_error_none",  # decorated
}  # fmt: skip  # by reason


def test_every_method_is_the_same_or_refused_or_only_called_by_users() -> None:
    """Each name of a petisco class has the same name here, is refused in a subclass, or has no effect by itself."""
    bases = [name for name in petisco.__all__ if isinstance(getattr(domainkit, name, None), type)]
    ordinary = {*dir(BaseModel), *dir(str), *dir(Exception)}
    left = set()
    for name in bases:
        mine = getattr(domainkit, name)
        refused = {habit for base in mine.__mro__ for habit in HABITS.get(base.__name__, {})}
        left |= {one for one in dir(getattr(petisco, name)) if one[0] != "_"} - {*dir(mine)} - refused - ordinary

    assert len(bases) > 35
    assert ONLY_CALLED_BY_USERS == left


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # pydantic's, of the Config that petisco reads
def test_what_is_refused_is_used_there() -> None:
    """Each name refused here changes something in petisco, which calls or reads it by itself."""
    called: list[str] = []

    class OldTooLate(petisco.NotFound):
        def get_specific_detail(self) -> str:  # type: ignore[override]  # a class method there
            return "Too late"

    class OldTitle(petisco.ValueObject):
        @classmethod
        def validate_value(cls, value: str) -> str:
            called.append("validate_value")
            return value

    class OldTaskCreated(petisco.DomainEvent):
        _message_name = "task.was.created"

        def update_meta(self, meta: Any) -> Any:
            called.append("update_meta")
            return super().update_meta(meta)

        def model_post_init(self, context: Any) -> None:
            called.append("model_post_init")
            super().model_post_init(context)

    class OldTask(petisco.AggregateRoot):
        @classmethod
        def model_validation(cls, data: Any) -> Any:  # type: ignore[override]  # without the decorator
            called.append("model_validation")
            return data

    class OldBus(petisco.NotImplementedDomainEventBus):
        def get_configured_meta(self) -> dict[str, Any]:
            return {"tenant": "home"}

    class OldMiddleware(petisco.Middleware):
        def before(self) -> None:
            called.append("before")

        def after(self, _: Any) -> None:
            called.append("after")

    class OldController(petisco.Controller):
        class Config:
            middlewares: ClassVar = [OldMiddleware]
            use_shared_middlewares = False
            success_handler: ClassVar = lambda _: "shown"  # as petisco has it

        def execute(self) -> AnyResult:
            return isSuccess

    OldTitle(value="Buy milk")
    event = OldTaskCreated()
    OldBus().publish(event)
    OldTask()

    assert "Too late" == OldTooLate().detail()
    assert ("task.was.created", {"tenant": "home"}) == (event.get_message_name(), event.get_message_meta())
    assert "shown" == OldController().execute().transform()
    assert ["validate_value", "model_post_init", "update_meta", "model_validation", "before", "after"] == called


def test_names_said_to_be_the_same_are() -> None:
    """If an item says "the same" after the arrow, this library has every name before it."""
    items = re.findall(r"^- (`[^→\n]*) → the same\b", PAGE, re.MULTILINE)
    names = {name for item in items for name in re.findall(r"`(\w+)`", item)} - {"UseCaseUncontrolledError"}

    assert len(names) > 20
    assert set() == names - set(domainkit.__all__)


def test_a_typed_id_of_petisco_is_any_text() -> None:
    """In petisco ids of two classes are equal, and a str; here they are neither."""

    class OldTaskId(petisco.Uuid):
        pass

    class TaskId(domainkit.Uuid):
        pass

    old_id, new_id = petisco.Uuid(TEXT), domainkit.Uuid.from_str(TEXT)

    assert OldTaskId(TEXT) == old_id == TEXT
    assert new_id != TaskId.from_str(TEXT)
    assert {new_id, TaskId.from_str(TEXT)}.isdisjoint([TEXT])


def test_add_meta_of_petisco_replaces() -> None:
    """The add_meta of petisco replaces, in place; here it merges into a copy."""
    old = petisco.DomainEvent()
    new = domainkit.DomainEvent().add_meta({"tenant": "home"}).add_meta({"user": "ada"})
    old.add_meta({"tenant": "home"})
    old.add_meta({"user": "ada"})

    assert {"user": "ada"} == old.get_message_meta()
    assert {"tenant": "home", "user": "ada"} == new.header.meta


def test_petisco_invents_what_is_missing() -> None:
    """An envelope without id and time is read by petisco, and raw JSON laid over typed fields; here it is refused."""

    class Counted(petisco.DomainEvent):
        count: int

    read: Any = Counted.from_format('{"data": {"type": "counted", "attributes": {"count": "5"}}}')

    assert read.get_message_id()
    assert read.get_message_occurred_on()
    assert "5" == read.count
    with pytest.raises(domainkit.InvalidMessage):
        domainkit.DomainEvent.from_json('{"data": {"type": "domain.event", "type_message": "domain_event"}}')


def test_petisco_keeps_secrets_in_errors() -> None:
    """The UnknownError of petisco shows parameters and the exception's text, and is no DomainError; not so here."""

    class OldBoom(petisco.UseCase):
        def execute(self, password: str) -> AnyResult:
            raise RuntimeError(password)

    @domainkit.use_case
    def boom(password: str) -> Result[None, domainkit.DomainError]:
        raise RuntimeError(password)

    old, new = OldBoom().execute("hunter2").value, boom("hunter2").failure()

    assert "hunter2" in repr(old)
    assert not isinstance(old, petisco.DomainError)
    assert "hunter2" not in repr(new)
    assert isinstance(new, domainkit.DomainError)


def test_a_raised_domain_error_is_a_bug_here() -> None:
    """A DomainError that is raised becomes a Failure in petisco, and an UnknownError here."""

    class OldRaiser(petisco.UseCase):
        def execute(self, *_: object) -> AnyResult:
            raise petisco.NotFound

    @domainkit.use_case
    def raiser() -> Result[None, domainkit.DomainError]:
        raise domainkit.NotFound

    assert isinstance(OldRaiser().execute().value, petisco.NotFound)
    assert isinstance(raiser().failure(), domainkit.UnknownError)


def test_error_maps_of_petisco_miss_subclasses() -> None:
    """In petisco the map knows the listed classes alone, in a flat tree; here subclasses follow too."""

    class OldLost(petisco.NotFound):
        pass

    class Lost(domainkit.NotFound):
        pass

    old = {cls.__name__: error.status_code for cls, error in petisco.DEFAULT_HTTP_ERROR_MAP.items()}
    new = {cls.__name__: error.status_code for cls, error in domainkit.DEFAULT_HTTP_ERROR_MAP.items()}

    assert OldLost not in petisco.DEFAULT_HTTP_ERROR_MAP
    assert not issubclass(petisco.ClientNotFound, petisco.NotFound)
    assert 404 == domainkit.http_error_for(Lost()).status_code
    assert old.items() <= new.items()


def test_details_of_errors() -> None:
    """detail() is the same but for NotAllowed and BusCannotPublish, where petisco has texts of their own."""
    classes = [name for name in petisco.__all__ if isinstance(getattr(petisco, name), type) and "Aggregate" not in name]
    errors = [name for name in classes if issubclass(getattr(petisco, name), petisco.DomainError)]
    given: dict[str, Any] = {"uuid_value": TEXT, "additional_info": {"list": "home"}}
    details = {name: [getattr(home, name)(**given).detail() for home in (petisco, domainkit)] for name in errors}

    assert {"NotAllowed", "BusCannotPublish"} == {name for name, (old, new) in details.items() if old != new}
    assert issubclass(domainkit.InvalidUuid, domainkit.InvalidValueObject)
    assert issubclass(domainkit.InvalidUuid, ValueError)


def test_what_is_frozen_or_refused_here() -> None:
    """Aggregates are frozen, HttpError refuses a status of success, and Config a setting that isn't there."""

    @frozen
    class Task(domainkit.AggregateRoot):
        title: str

    with pytest.raises(FrozenInstanceError):
        Task("Buy milk").title = "Buy bread"  # type: ignore[misc]  # refused by mypy too
    with pytest.raises(ValueError, match="status_code"):
        domainkit.HttpError(status_code=200)
    with pytest.raises(TypeError, match="expected only `name` and `version`"):
        type("Odd", (domainkit.DomainEvent,), {"Config": type("Config", (), {"extra": "allow"})})


def test_petisco_writes_none_for_a_falsy_value_object() -> None:
    """A falsy value object becomes None with petisco's ValueObjectSerializer; here its value is written."""

    class OldCount(petisco.ValueObject):
        def __bool__(self) -> bool:
            return bool(self.value)

    class OldPage(BaseModel):
        count: Annotated[OldCount, petisco.ValueObjectSerializer]

    class Count(domainkit.ValueObject[int]):
        def __bool__(self) -> bool:
            return bool(self.value)

    @frozen
    class Page:
        count: Annotated[Count, domainkit.ValueObjectSerializer]

    assert {"count": None} == OldPage(count=OldCount.from_value(0)).model_dump()
    assert {"count": 0} == domainkit.make_converter(unwrap_value_objects=False).unstructure(Page(Count(0)))

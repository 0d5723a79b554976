"""Aggregates: clusters of values that change together, under one id and one version."""

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, Self, TypeAlias

from attrs import Attribute, Factory, field, frozen
from typing_extensions import TypeVar

from domainkit._model.annotations import type_of
from domainkit._model.immutability import ABSENT, ON_THE_WIRE, REQUIRED, Frozen, copy_with
from domainkit._model.type_checks import bare, describe
from domainkit.messages import DomainEvent
from domainkit.values import Uuid, ValueObject

AnyId: TypeAlias = ValueObject[object, object]
"""An id of any class."""

IdT_co = TypeVar("IdT_co", bound=AnyId, default=Uuid, covariant=True)
AggT_co = TypeVar("AggT_co", covariant=True)
IdT_contra = TypeVar("IdT_contra", contravariant=True)


class IdentifiedBy(Protocol[AggT_co, IdT_contra]):
    """Aggregate class, or an aggregate, with its id class: a repository accepts only ids of that class."""

    def _identified_by(self) -> Callable[[IdT_contra], AggT_co]: ...


def _fresh_id(aggregate: "AggregateRoot[IdT_co]") -> IdT_co:
    wanted = type(aggregate)._id_type()
    if issubclass(wanted, Uuid):
        return wanted.v4()
    raise TypeError(
        f"{type(aggregate).__qualname__}.aggregate_id: expected a {wanted.__qualname__}, got no id; "
        "pass `aggregate_id=`, since only a Uuid can be generated"
    )


def _check_version(aggregate: "AggregateRoot[IdT_co]", _: "Attribute[int]", version: int) -> None:
    if type(version) is not int or version < 1:
        raise ValueError(f"{type(aggregate).__qualname__}.aggregate_version: expected an int of 1 or more")


def _check_id(aggregate: "AggregateRoot[IdT_co]", _: object, aggregate_id: object) -> None:
    wanted = type(aggregate)._id_type()
    if not isinstance(aggregate_id, wanted):
        found = type(aggregate_id).__qualname__
        raise TypeError(f"{type(aggregate).__qualname__}.aggregate_id: expected a {wanted.__qualname__}, got a {found}")


def _check_events(aggregate: "AggregateRoot[IdT_co]", _: object, events: tuple[DomainEvent, ...]) -> None:
    if type(events) is not tuple:
        found = type(events).__qualname__
        raise TypeError(
            f"{type(aggregate).__qualname__}.domain_events: expected a tuple of domain events, got a {found}"
        )
    for event in events:
        if not isinstance(event, DomainEvent):
            raise TypeError(
                f"{type(aggregate).__qualname__}.record: expected domain events, got a {type(event).__qualname__}; "
                "pass several one by one: record(*events)"
            )


@frozen
class AggregateRoot(Frozen, Generic[IdT_co]):
    """Root of an aggregate: a frozen object with an id, a version, and the events that it recorded.

    Every change returns a new object. `attrs.evolve` keeps recorded events; equality ignores them. See Evans,
    Domain-Driven Design (2003), chapter 6.

    >>> from attrs import frozen
    >>> from domainkit import DomainEvent
    >>> class TaskId(Uuid): ...
    >>> @frozen
    ... class TaskCreated(DomainEvent):
    ...     task_id: TaskId
    >>> @frozen
    ... class Task(AggregateRoot[TaskId]):
    ...     title: str
    ...
    ...     @classmethod
    ...     def create(cls, title: str) -> "Task":
    ...         task = cls(title)
    ...         return task.record(TaskCreated(task.aggregate_id))
    >>> events, task = Task.create("Buy milk").pull_domain_events()
    >>> [event.info().name for event in events], task.aggregate_version
    (['task.created'], 1)

    Args:
        aggregate_id: by default a new id of the class given as `AggregateRoot[TaskId]`, or a plain Uuid for a bare
            AggregateRoot. An id of a class that isn't a Uuid has to be passed.
        aggregate_version: 1 for a new aggregate; the repository raises it by one with each update.

    Raises:
        TypeError: `aggregate_id` is of another class; or, at class definition, a field has a name that this class uses
            or a mutable type; or, at the first instance, `@attrs.frozen` is missing, or the class of the ids is not a
            value object; or no `aggregate_id` is passed, and it is not a Uuid.
        ValueError: `aggregate_version` is not an int of 1 or more.
    """

    aggregate_id: IdT_co = field(
        default=Factory(_fresh_id, takes_self=True),
        kw_only=True,
        validator=_check_id,
        metadata={ON_THE_WIRE: REQUIRED},
    )
    aggregate_version: int = field(default=1, kw_only=True, validator=_check_version, metadata={ON_THE_WIRE: REQUIRED})
    _domain_events: tuple[DomainEvent, ...] = field(
        default=(),
        kw_only=True,
        eq=False,
        repr=False,
        alias="domain_events",
        validator=_check_events,
        metadata={ON_THE_WIRE: ABSENT},
    )

    _reserved_names: ClassVar[frozenset[str]] = frozenset(
        {
            "aggregate_id", "aggregate_version", "_domain_events", "domain_events", "record", "clear_domain_events",
            "pull_domain_events",
        }
    )  # fmt: skip  # one set

    if TYPE_CHECKING:  # so that it matches the protocol IdentifiedBy

        @classmethod
        def _identified_by(cls) -> Callable[[IdT_co], Self]: ...

    @classmethod
    def _id_type(cls) -> type[IdT_co]:
        known: type[IdT_co] | None = cls.__dict__.get("_known_id_type")
        if known is None:
            hint = bare(type_of(cls, "aggregate_id"))
            if not (isinstance(hint, type) and issubclass(hint, ValueObject)):
                raise TypeError(
                    f"{cls.__qualname__}.aggregate_id: expected a class of ids, got {describe(hint)}; "
                    "define one, such as `class TaskId(Uuid): ...`, and write AggregateRoot[TaskId]"
                )
            known = hint  # type: ignore[assignment]  # the class that IdT_co stands for in cls
            cls._known_id_type = known  # type: ignore[attr-defined]  # kept on the class that it belongs to
        return known  # type: ignore[return-value]  # set above

    @property
    def domain_events(self) -> tuple[DomainEvent, ...]:
        """The events recorded and not pulled yet, the oldest first."""
        return self._domain_events

    def record(self, *events: DomainEvent) -> Self:
        """Return a copy with `events` added to the recorded ones.

        >>> AggregateRoot().record(DomainEvent(), DomainEvent()).domain_events.__len__()
        2

        Raises:
            TypeError: one of them is not a DomainEvent.
        """
        _check_events(self, None, events)
        return copy_with(self, _domain_events=(*self._domain_events, *events))

    def clear_domain_events(self) -> Self:
        """Return a copy without recorded events.

        >>> AggregateRoot().record(DomainEvent()).clear_domain_events().domain_events
        ()
        """
        return copy_with(self, _domain_events=()) if self._domain_events else self

    def pull_domain_events(self) -> tuple[tuple[DomainEvent, ...], Self]:
        """Return the recorded events, the oldest first, and the aggregate without them.

        >>> events, aggregate = AggregateRoot().record(DomainEvent()).pull_domain_events()
        >>> len(events), aggregate.domain_events
        (1, ())
        """
        return self._domain_events, self.clear_domain_events()

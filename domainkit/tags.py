"""Tags of events, queries by tags and classes, and appends under a condition: a dynamic consistency boundary.

A decision that needs facts about several things (a student and a course) reads the events of both by a query, and is
stored only if no further event matches that query. See Pellegrini, Killing the Aggregate (2023), and https://dcb.events.
"""

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any, Generic, TypeAlias, get_origin
from uuid import UUID

import attrs
from attrs import field, frozen
from typing_extensions import TypeForm, TypeVar

from domainkit._model.type_checks import describe, members
from domainkit.codec import MessageCodec
from domainkit.errors import ConflictError
from domainkit.messages import DomainEvent
from domainkit.values import Uuid

S_co = TypeVar("S_co", covariant=True)
Q_co = TypeVar("Q_co", bound=DomainEvent, default=DomainEvent, covariant=True)
EventT = TypeVar("EventT", bound=DomainEvent)
OtherT = TypeVar("OtherT", bound=DomainEvent)

TagsReader: TypeAlias = Callable[[DomainEvent], tuple[UUID, ...]]
EventClasses: TypeAlias = tuple[type[DomainEvent], ...]


def tags_of(event: DomainEvent, /) -> tuple[UUID, ...]:
    """Return the tags of an event: the value of each field whose class derives from `Uuid`, in the order of the fields.

    A field with a tuple or a frozenset of ids has the tags of all of them; a field that is None has none. Ids inside of
    other value objects aren't tags, and neither is the id of the header.

    A tag is only the UUID, without the class of the id. Tags are stored for years, and a UUID stays the same if its
    class is renamed or moved; a name in the tag would hide older events from queries and conditions. If ids of two
    classes have the same UUID, they share their events; use `of` to separate them.

    >>> class StudentId(Uuid): ...
    >>> class CourseId(Uuid): ...
    >>> @frozen
    ... class Subscribed(DomainEvent):
    ...     student_id: StudentId
    ...     course_id: CourseId
    >>> event = Subscribed(StudentId.v4(), CourseId.v4())
    >>> tags_of(event) == (event.student_id.value, event.course_id.value)
    True
    """
    return tags_reader(type(event))(event)


def tags_reader(cls: type[DomainEvent]) -> TagsReader:
    """Return a function that does what `tags_of` does, for events of one class."""
    names = [attribute.name for attribute in attrs.fields(cls) if attribute.name != "header"]
    values = attrgetter(*names) if names else None

    def read(event: DomainEvent) -> tuple[UUID, ...]:
        if values is None:
            return ()
        found: dict[int, UUID] = {}  # by number, since UUID has its hash in Python
        for value in values(event) if len(names) > 1 else (values(event),):
            if isinstance(value, Uuid):
                found[value.value.int] = value.value
            elif isinstance(value, tuple):
                found.update(_ids_in(value))
            elif isinstance(value, frozenset):
                found.update(sorted(_ids_in(value)))
        return tuple(found.values())

    return read


def _ids_in(values: Iterable[object]) -> list[tuple[int, UUID]]:
    return [(one.value.int, one.value) for one in values if isinstance(one, Uuid)]


@frozen
class QueryItem:
    """A part of a query: an event matches it if it has all of the tags, and is of one of the classes.

    Args:
        tags: the UUIDs that the event must have as tags; if empty, the tags don't matter.
        classes: the classes, with their subclasses; if empty, the class doesn't matter.
    """

    tags: frozenset[UUID] = frozenset()
    classes: EventClasses = ()

    def matches(self, event: DomainEvent, /) -> bool:
        """Check if an event has all of the tags, and is of one of the classes."""
        return self.tags.issubset(tags_of(event)) and (not self.classes or isinstance(event, self.classes))


@frozen
class EventQuery(Generic[Q_co]):
    """A query for events by tags and classes, made by `query`. An event matches if it matches one of the items.

    It is immutable: each method returns a new query. Its type parameter is the union of the classes that it finds.

    >>> class AccountId(Uuid): ...
    >>> @frozen
    ... class Opened(DomainEvent):
    ...     account_id: AccountId
    >>> first, second = Opened(AccountId.v4()), Opened(AccountId.v4())
    >>> about_first = query().about(first.account_id).of(Opened)
    >>> about_first.matches(first), about_first.matches(second)
    (True, False)
    >>> (about_first | query().about(second.account_id)).matches(second)
    True

    Args:
        items: the parts; at least one.

    Raises:
        ValueError: `items` is empty.
    """

    items: tuple[QueryItem, ...] = (QueryItem(),)

    def __attrs_post_init__(self) -> None:
        """Refuse a query that finds no event at all."""
        if not self.items:
            raise ValueError("EventQuery.items: expected at least one item, got none; make queries with query()")

    def about(self, *ids: Uuid) -> "EventQuery[Q_co]":
        """Return a query for those of its events that have all of these ids as tags.

        Args:
            ids: at least one.

        Raises:
            ValueError: no id is given: the query would find all events.
            TypeError: an argument is not a Uuid.
        """
        if not ids:
            raise ValueError("about: expected at least one id, got none; leave `about` out to find all events")
        for one in ids:
            if not isinstance(one, Uuid):
                raise TypeError(f"about: expected ids derived from Uuid, got a {type(one).__qualname__}; pass such ids")
        tags = frozenset(one.value for one in ids)
        return EventQuery(tuple(attrs.evolve(item, tags=item.tags | tags) for item in self.items))

    def of(self, form: TypeForm[EventT], /) -> "EventQuery[EventT]":
        """Return a query for those of its events that are of a class, or of one of the classes of a union.

        Args:
            form: a class of events, a union of them, or an alias. Subclasses count.

        Raises:
            TypeError: `form` is something else, or the query has classes already.
        """
        classes = tuple(map(_event_class, members(form)))
        if any(item.classes for item in self.items):
            raise TypeError(
                "of: expected a query without classes, got one that has some; pass all classes as one union"
            )
        return EventQuery(tuple(attrs.evolve(item, classes=classes) for item in self.items))

    def __or__(self, other: "EventQuery[OtherT]", /) -> "EventQuery[Q_co | OtherT]":
        """Return a query for the events of both."""
        if not isinstance(other, EventQuery):
            return NotImplemented
        return EventQuery(self.items + other.items)

    def matches(self, event: DomainEvent, /) -> bool:
        """Check if the query finds an event."""
        return any(item.matches(event) for item in self.items)


def _event_class(hint: object) -> type[DomainEvent]:
    cls = get_origin(hint) or hint
    if not isinstance(cls, type) or not issubclass(cls, DomainEvent):
        raise TypeError(f"of: expected a class of events or a union of them, got {describe(hint)}")
    return cls


def query() -> EventQuery:
    """Return a query for all events; narrow it with `about` and `of`, and widen it with `|`.

    >>> query().about(Uuid.v4()).of(DomainEvent).matches(DomainEvent())
    False
    """
    return EventQuery()


def _positions(after: int | tuple[int, ...]) -> int | tuple[int, ...]:
    given = (after,) if isinstance(after, int) else after
    if not isinstance(given, tuple) or not all(isinstance(one, int) and one >= 0 for one in given):
        raise TypeError(f"AppendCondition.after: expected a position from 0, or one for each item, got {after!r}")
    return after


@frozen
class AppendCondition:
    """The condition of an append: no event that the query matches was stored after a position.

    `decide` of an event store returns it with the state. For a rule that needs no state, create one yourself: with
    `after=0` no event may match at all.

    >>> taken = AppendCondition(query().about(Uuid.v4()), after=0)
    >>> taken.positions
    (0,)

    Args:
        query: the events that the decision depends on.
        after: the position up to which they were read: one for all items of the query, or one for each. Events with
            different tags may be stored concurrently, and become visible in another order than that of their positions.

    Raises:
        TypeError: `after` is not a position from 0, nor a tuple of them.
        ValueError: it is a tuple whose length isn't the number of items of the query.
    """

    query: EventQuery
    after: int | tuple[int, ...] = field(converter=_positions)

    def __attrs_post_init__(self) -> None:
        """Refuse positions for another number of items."""
        if len(self.positions) != len(self.query.items):
            raise ValueError(
                f"AppendCondition.after: expected {len(self.query.items)} positions, one for each item of the query, "
                f"got {len(self.positions)}"
            )

    @property
    def positions(self) -> tuple[int, ...]:
        """The position for each item of the query."""
        return (self.after,) * len(self.query.items) if isinstance(self.after, int) else self.after


@frozen
class Decision(Generic[S_co]):
    """The state for a decision, and the condition under which this state is still the newest.

    Args:
        state: the value of a projection after the events of a query.
        condition: pass it to `append` with the decided events.
    """

    state: S_co
    condition: AppendCondition


@frozen(kw_only=True, repr=False, order=False)
class ConditionConflict(ConflictError):
    """An event that the condition excludes was stored meanwhile: read again, and decide again.

    Args:
        position: that of the first such event; None if it isn't known.
    """

    position: int | None = None

    def detail(self) -> str:
        """Return the error's name, and the position of the event."""
        where = "" if self.position is None else f" at position {self.position}"
        return f"{super().detail()}: expected no further event of the query, got one{where}"


@frozen
class Selection:
    """An item of a query as a store looks for it.

    Args:
        tags: all that the event must have.
        names: of messages, one of which the event must have; None if any will do.
    """

    tags: tuple[UUID, ...]
    names: tuple[str, ...] | None


def selections(query: EventQuery, codec: MessageCodec[Any]) -> tuple[Selection, ...]:  # Any: of whatever events
    """Return the items of a query, for a store with this codec.

    Raises:
        TypeError: the codec was given no class of events of an item.
    """
    return tuple(Selection(tuple(sorted(item.tags)), _names(item.classes, codec)) for item in query.items)


def _names(classes: EventClasses, codec: MessageCodec[Any]) -> tuple[str, ...] | None:
    for cls in classes:
        if not codec.names_of(cls):
            raise TypeError(
                f"query: expected classes of the store's codec, got {cls.__qualname__}; add it to the codec"
            )
    return tuple(sorted(codec.names_of(*classes))) if classes else None

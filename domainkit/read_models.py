"""Read models: rows of one class, each a pure fold of the events that concern it.

See Young, CQRS Documents (2010), on read models, and Fowler, CQRS (2011).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import attrs
from attrs import evolve, field, frozen

from domainkit._model.mapping import FrozenMapping
from domainkit._model.type_checks import describe
from domainkit.errors import DomainError
from domainkit.event_store import RecordedEvent, UnreadableEvent
from domainkit.ids import text_refusal
from domainkit.messages import DomainEvent
from domainkit.projections import with_function

S = TypeVar("S")
EventT = TypeVar("EventT", bound=DomainEvent)
FunctionT = TypeVar("FunctionT")
Step: TypeAlias = Callable[[Any, Any], Any]  # Any: of whatever row and event, which `on` has checked
KeyOf: TypeAlias = Callable[[Any], object]  # as above


@frozen
class Fold:
    """A step of a read model, and the function that finds its row."""

    key: KeyOf
    step: Step


def _read_only(folds: Mapping[type, Fold]) -> Mapping[type, Fold]:
    return FrozenMapping(folds)


@frozen
class ReadModel(Generic[S]):
    """A read model: rows of one attrs class, each a fold of the events with its key. It has no database.

    An adapter keeps the rows in a table (`domainkit.adapters.sqlalchemy.TableReadModel`), and a projector follows an
    event store.

    >>> @frozen
    ... class Deposited(DomainEvent):
    ...     account: str
    ...     amount: int
    >>> @frozen
    ... class Balance:
    ...     account: str
    ...     total: int
    >>> def deposited(row: Balance | None, event: Deposited) -> Balance:
    ...     return Balance(event.account, event.amount + (row.total if row else 0))
    >>> balances = ReadModel("balances", Balance).on(Deposited, lambda event: event.account, deposited)
    >>> balances.rows([Deposited("ada", 3), Deposited("ada", 4)])
    {'ada': Balance(account='ada', total=7)}

    Args:
        name: its permanent name: its progress is stored under it.
        row: the attrs class of its rows.
        version: of the steps; raise it when they change, and rebuild.
        folds: the steps for each class of events; `on` adds one. An event of a subclass takes that of the nearest
            class above it.

    Raises:
        TypeError: `row` is not an attrs class.
        ValueError: `name` is empty or ends with `__rebuild`, or `version` is below 1.
    """

    name: str
    row: type[S]
    version: int = field(default=1, kw_only=True)
    folds: Mapping[type, Fold] = field(factory=FrozenMapping, converter=_read_only, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if not attrs.has(self.row):
            raise TypeError(f"read model {self.name!r}: expected an attrs class of rows, got {describe(self.row)}")
        check_identity(self.name, self.version)

    def on(
        self,
        event: type[EventT],
        key: Callable[[EventT], object],
        step: Callable[[S | None, EventT], S | None],
        /,
    ) -> "ReadModel[S]":
        """Return the read model with a step for one more class of events.

        Args:
            event: the class.
            key: a pure function from an event to the key of its row: the value of the primary key, or a tuple of
                values in the order of its columns; None if no row is concerned.
            step: a pure function from the row so far (None: it does not exist) and an event to the next row (None: it
                is removed). The row that it returns has the key.

        Raises:
            TypeError: `event` is not a class, or has a step already.
        """
        return evolve(self, folds=with_function(self.folds, event, Fold(key, step), f"read model {self.name!r}"))

    def rows(self, events: Iterable[DomainEvent], /) -> dict[object, S]:
        """Return the rows after all events, by key: for tests, and for histories that fit into memory.

        Events of other classes are passed over.
        """
        found: dict[object, S] = {}
        for event in events:
            fold = function_or_none(self.folds, type(event))
            key = None if fold is None else fold.key(event)
            if fold is None or key is None:
                continue
            following: S | None = fold.step(found.get(key), event)
            if following is None:
                found.pop(key, None)
            else:
                found[key] = following
        return found


@frozen(kw_only=True, repr=False, order=False)
class NotReached(DomainError):
    """A read model did not get to a position in time: it is behind, or stopped.

    Args:
        model: its name.
        position: the position that was waited for.
        reached: the position that it has; 0 if it has not begun.
        reason: why it is stopped, in one word; None if it is only behind.
    """

    model: str
    position: int
    reached: int
    reason: str | None = None

    def detail(self) -> str:
        """Return the error's name, the model and the two positions."""
        found = f"position {self.reached}" + (f", where it stopped: {self.reason}" if self.reason else "")
        return f"{super().detail()}: read model {self.model}: expected position {self.position}, got {found}"


class ReadsAllEvents(Protocol):
    """The part of an event store that a projector needs: `read_all`."""

    def read_all(
        self, *, after: int = 0, limit: int | None = None
    ) -> Sequence[RecordedEvent[DomainEvent] | UnreadableEvent]:
        """Return events of all streams by position; see EventStore."""
        raise NotImplementedError


class AsyncReadsAllEvents(Protocol):
    """The async twin of ReadsAllEvents."""

    async def read_all(
        self, *, after: int = 0, limit: int | None = None
    ) -> Sequence[RecordedEvent[DomainEvent] | UnreadableEvent]:
        """Return events of all streams by position; see EventStore."""
        raise NotImplementedError


SHADOW = "__rebuild"
"""The end of the name of a table that a rebuild fills, and of its checkpoint."""


def check_identity(name: str, version: int) -> None:
    """Refuse a name or version of a read model under which no progress can be stored.

    Raises:
        ValueError: `name` is empty, can't be stored or ends with `__rebuild`, or `version` is below 1.
    """
    refusal = text_refusal(name + SHADOW)
    if refusal is not None:
        raise ValueError(f"read model: expected {refusal} as a name, got another; choose one")
    if not name or name.endswith(SHADOW):
        raise ValueError(f"read model: expected a name that doesn't end with {SHADOW}, got {name!r}; choose another")
    if version < 1:
        raise ValueError(f"read model {name!r}: expected a version of 1 or more, got {version}; count from 1")


def function_or_none(functions: Mapping[type, FunctionT], cls: type) -> FunctionT | None:
    """Return the function of a class, or of the nearest class above it; None if no function was given for it."""
    return next((functions[one] for one in cls.__mro__ if one in functions), None)

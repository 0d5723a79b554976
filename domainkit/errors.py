"""The tree of domain errors: expected outcomes, carried in a `Failure` or raised.

DomainError
├── CriticalError
│   ├── BusCannotPublish
│   │   └── MessageRefused
│   └── OutcomeUnknownError
├── UnknownError
├── NotFound
│   ├── AggregateNotFoundError
│   ├── AggregatesNotFoundError
│   ├── ClientNotFound
│   └── UserNotFound
├── AlreadyExists
│   ├── AggregateAlreadyExistError
│   ├── ClientAlreadyExists
│   └── UserAlreadyExists
├── ConflictError
│   └── AggregateVersionConflictError
├── NotAllowed
├── InvalidValueObject
│   └── InvalidUuid
└── InvalidMessage
    └── UnknownMessage
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import ClassVar, Protocol, Self

import attrs
from attrs import field, frozen

from domainkit._model.copying import fill
from domainkit._model.immutability import Frozen, require_decorated
from domainkit._model.mapping import FrozenMapping, frozen_copy
from domainkit._model.texts import shown
from domainkit._model.wrapper import is_secret


class Identified(Protocol):
    """The part of an id that an error needs: the `value` that it wraps."""

    @property
    def value(self) -> object:
        """The wrapped value; `str()` of it is the text of the id."""


def _read_only(info: Mapping[str, object] | None) -> Mapping[str, object] | None:
    if info is None:
        return None
    if isinstance(info, Mapping):
        return frozen_copy(info)  # type: ignore[return-value]  # of a mapping, a mapping
    raise TypeError(
        f"additional_info: expected a mapping, got {type(info).__qualname__}; pass one, such as {{'message': '...'}}"
    )


@frozen(kw_only=True, repr=False, order=False)
class DomainError(Frozen, Exception):
    """An expected outcome of the domain, as a value: put it in a `Failure`, or raise it.

    Two errors of the same class with equal fields are equal; they are hashable and picklable. Derive your own errors
    from it or from a subclass; an error with fields of its own needs `@attrs.frozen`.

    >>> from attrs import frozen
    >>> class DuplicateTask(DomainError): ...
    >>> @frozen
    ... class TooManyTasks(DomainError):
    ...     limit: int
    >>> DuplicateTask(uuid_value="7d2b", additional_info={"list": "home"}).detail()
    "DuplicateTask (7d2b) [{'list': 'home'}]"
    >>> TooManyTasks(limit=3) == TooManyTasks(limit=3)
    True

    Args:
        uuid_value: the text of the id that the error is about.
        additional_info: more facts for the reader. `detail()` shows them: keep secrets out. The error keeps a read-only
            copy, with tuples for lists and frozensets for sets, at any depth.

    Raises:
        TypeError: `additional_info` is not a mapping; or, at class definition, a field has a name that exceptions use,
            or a mutable type; or, at the first instance, a class with fields lacks `@attrs.frozen`.
    """

    uuid_value: str | None = None
    additional_info: Mapping[str, object] | None = field(default=None, converter=_read_only)

    _own_constructor: ClassVar[bool] = True
    _reserved_names: ClassVar[frozenset[str]] = frozenset({"args", "with_traceback", "add_note", "detail"})

    def detail(self) -> str:
        """Return `Name (uuid) [{info}]`, safe to log; absent parts are left out.

        >>> NotFound(uuid_value="7d2b").detail()
        'NotFound (7d2b)'
        """
        uuid = f" ({shown(self.uuid_value)})" if self.uuid_value else ""
        info = f" [{self.additional_info!r}]" if self.additional_info else ""
        return f"{type(self).__name__}{uuid}{info}"

    def __str__(self) -> str:
        return self.detail()

    __repr__ = __str__

    def __attrs_init__(self, *_: object, **__: object) -> None:
        """Raise TypeError: a constructor of a subclass called it, but attrs generated none for that class."""
        require_decorated(type(self))
        raise TypeError(
            f"{type(self).__qualname__}.__init__: expected a call of super().__init__, got one of __attrs_init__, "
            "which attrs didn't generate for this class; change the call"
        )

    def _content(self) -> tuple[object, ...]:
        return tuple(getattr(self, attribute.name) for attribute in attrs.fields(type(self)))

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._content() == other._content()

    def __hash__(self) -> int:
        # only the keys of a mapping: its values may not be hashable
        parts = (frozenset(one) if isinstance(one, FrozenMapping) else one for one in self._content())
        return hash((type(self), *parts))

    def __reduce__(self) -> tuple[object, ...]:
        names = (attribute.name for attribute in attrs.fields(type(self)))
        content = dict(zip(names, self._content(), strict=True))
        return _restore, (type(self), content, self.args, vars(self))


def _restore(
    cls: type[DomainError],
    content: Mapping[str, object],
    args: tuple[object, ...],
    others: Mapping[str, object] = FrozenMapping(),
) -> DomainError:
    """Return the error with its fields and its other attributes, such as notes."""
    error = cls.__new__(cls, *args)
    fill(error, content)
    for name, value in others.items():
        object.__setattr__(error, name, value)
    return error


class CriticalError(DomainError):
    """An error that a person must look at: the guard of a use case sends it to the notifier of the use case."""


@frozen(kw_only=True, repr=False)
class BusCannotPublish(CriticalError):
    """A bus could not hand over a message. `additional_info` has the message and the reason.

    Args:
        retry_after: the time to wait before a retry, if known.
    """

    retry_after: timedelta | None = None


class MessageRefused(BusCannotPublish):
    """A reachable broker refused this message: no queue is bound for it, or the broker rejected it.

    Other messages may go through. A retry of this one fails until its cause is fixed.
    """


@frozen(kw_only=True, repr=False)
class OutcomeUnknownError(CriticalError):
    """A COMMIT was sent, and no answer came: the change may or may not be stored.

    It is neither a success nor a failure: check the stored data before you repeat the change, or make it idempotent.

    Args:
        retry_after: the time to wait before you check, if known.
    """

    retry_after: timedelta | None = None


@frozen(kw_only=True, repr=False)
class UnknownError(DomainError):
    """A bug or another unexpected exception, as the guard of a use case reports it.

    It has the place and the class of the exception, but neither its text nor the arguments of the call, which may
    contain secrets. The exception is its `__cause__`, for a debugger; it isn't compared, pickled or shown.

    Args:
        exception_type: the qualified name of the exception's class.
        executor: the use case or function that failed.
        filename: the file of the innermost frame.
        lineno: the line in that file, counted from 1.
    """

    exception_type: str = "builtins.Exception"
    executor: str | None = None
    filename: str | None = None
    lineno: int | None = None

    @classmethod
    def from_exception(cls, exception: BaseException, executor: str | None = None) -> Self:
        """Return the error for `exception`, with the place where it was raised, and with it as the cause.

        >>> try:
        ...     {}["missing"]
        ... except KeyError as error:
        ...     UnknownError.from_exception(error, executor="TaskCreator").detail()
        "UnknownError [{'exception': 'KeyError', 'executor': 'TaskCreator'}]"
        """
        kind, trace = type(exception), exception.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        info = {"exception": kind.__qualname__} | ({"executor": executor} if executor else {})
        error = cls(
            additional_info=info,
            exception_type=f"{kind.__module__}.{kind.__qualname__}",
            executor=executor,
            filename=None if trace is None else trace.tb_frame.f_code.co_filename,
            lineno=None if trace is None else trace.tb_lineno,
        )
        error.__cause__ = exception
        return error


class NotFound(DomainError):
    """The requested object does not exist."""


class ClientNotFound(NotFound):
    """The client does not exist."""


class UserNotFound(NotFound):
    """The user does not exist."""


class AggregateNotFoundError(NotFound):
    """The repository has no aggregate with this id, or with another property that was looked up.

    >>> from domainkit import Uuid
    >>> AggregateNotFoundError(Uuid.from_str("a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11"), "tasks").additional_info
    {'message': 'Aggregate (a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11) not found (repository: tasks)'}
    >>> AggregateNotFoundError(repository_name="tasks").additional_info
    {'message': 'Aggregate not found (repository: tasks)'}

    Args:
        aggregate_id: the id; None if the lookup was by something else, such as a title.
        repository_name: the repository, for the message.

    Raises:
        TypeError: `aggregate_id` is not an id, but its text, for example.
    """

    def __init__(self, aggregate_id: Identified | None = None, repository_name: str | None = None) -> None:
        uuid_value = _text_of(self, aggregate_id)
        message = f"{_aggregate(uuid_value)} not found{_in_repository(repository_name)}"
        super().__init__(uuid_value=uuid_value, additional_info={"message": message})


class AggregatesNotFoundError(NotFound):
    """The repository is empty."""

    def __init__(self, repository_name: str | None = None) -> None:
        super().__init__(additional_info={"message": f"Aggregates not found{_in_repository(repository_name)}"})


class AlreadyExists(DomainError):
    """The object to create exists already."""


class ClientAlreadyExists(AlreadyExists):
    """The client exists already."""


class UserAlreadyExists(AlreadyExists):
    """The user exists already."""


class AggregateAlreadyExistError(AlreadyExists):
    """The repository already has an aggregate with this id, or with another property that must be unique.

    >>> AggregateAlreadyExistError(repository_name="tasks").additional_info
    {'message': 'Aggregate already exist (repository: tasks)'}

    Args:
        aggregate_id: the id; None if another property is taken, such as a title.
        repository_name: the repository, for the message.
        table_name: the table, for the message.

    Raises:
        TypeError: `aggregate_id` is not an id, but its text, for example.
    """

    def __init__(
        self, aggregate_id: Identified | None = None, repository_name: str | None = None, table_name: str | None = None
    ) -> None:
        uuid_value = _text_of(self, aggregate_id)
        table = f" (table: {table_name})" if table_name else ""
        message = f"{_aggregate(uuid_value)} already exist{_in_repository(repository_name)}{table}"
        super().__init__(uuid_value=uuid_value, additional_info={"message": message})


class ConflictError(DomainError):
    """A concurrent transaction won, and nothing of this one is stored: repeat all of it.

    It is expected with concurrent writers, and not a bug: read again, decide again, store again. The policy
    `retried(..., on=ConflictError)` does so. The guard of a use case returns a raised ConflictError as a Failure.

    >>> issubclass(AggregateVersionConflictError, ConflictError)
    True
    """


class AggregateVersionConflictError(ConflictError):
    """The aggregate was stored by someone else since it was read (optimistic locking): read it again, and decide again.

    Args:
        aggregate_id: the aggregate's id.
        expected_version: the version of the aggregate that was to be stored.
        stored_version: the version in the repository, if known.
        repository_name: the repository, for the message.
    """

    def __init__(
        self,
        aggregate_id: Identified,
        expected_version: int,
        stored_version: int | None = None,
        repository_name: str | None = None,
    ) -> None:
        uuid_value = _text_of(self, aggregate_id)
        stored = "has another version" if stored_version is None else f"has version {stored_version}"
        message = (
            f"{_aggregate(uuid_value)} {stored}, not {expected_version}{_in_repository(repository_name)}: "
            "retrieve it again and repeat the change"
        )
        super().__init__(uuid_value=uuid_value, additional_info={"message": message})


def _text_of(error: DomainError, aggregate_id: Identified | None) -> str | None:
    """Return the text of an id; None for None."""
    if aggregate_id is None:
        return None
    if not hasattr(aggregate_id, "value"):
        raise TypeError(
            f"{type(error).__qualname__}.aggregate_id: expected an id, such as a Uuid, got a "
            f"{type(aggregate_id).__qualname__}; make an id of it, such as Uuid.from_str(...)"
        )
    return str(aggregate_id if is_secret(type(aggregate_id)) else aggregate_id.value)


def _aggregate(uuid_value: str | None) -> str:
    return f"Aggregate ({uuid_value})" if uuid_value is not None else "Aggregate"


def _in_repository(name: str | None) -> str:
    return f" (repository: {name})" if name else ""


class NotAllowed(DomainError):
    """The caller may not do this."""


@frozen
class Problem:
    """A problem in a message, or in the data for a value object.

    Args:
        path: the place, as a JSONPath from the root of the data (RFC 9535), such as `$.data.attributes.lines[3].sku`.
        expected: the expected data, in words.
        code: the kind of problem, for programs: `missing`, `type`, `value`, `json`, `limit`, `unknown`, `duplicate`.
    """

    path: str
    expected: str
    code: str

    def __str__(self) -> str:
        return shown(f"{self.path}: expected {self.expected} ({self.code})")


@frozen(kw_only=True, repr=False)
class InvalidValueObject(DomainError, ValueError):
    """An invalid value for a value object. Its text gives the class and the reason, and never the value.

    Args:
        problems: each problem with its path, if `parse` read a value object of several fields.
    """

    problems: tuple[Problem, ...] = ()


class InvalidUuid(InvalidValueObject):
    """A value that is not a UUID."""


_SHOWN_PROBLEMS = 5


@frozen(kw_only=True, repr=False)
class InvalidMessage(DomainError):
    """Data that isn't a valid message, or a message that could not be decoded again once encoded.

    >>> InvalidMessage(problems=(Problem("$.data.id", "a UUID", "missing"),)).detail()
    'InvalidMessage [$.data.id: expected a UUID (missing)]'

    Args:
        problems: each problem with its path, and never with the value there.
    """

    problems: tuple[Problem, ...] = ()

    def detail(self) -> str:
        """Return the error's name, its first five problems, and the number of the others."""
        if not self.problems:
            return super().detail()
        shown = "; ".join(map(str, self.problems[:_SHOWN_PROBLEMS]))
        left = len(self.problems) - _SHOWN_PROBLEMS
        return f"{type(self).__name__} [{shown}{f'; and {left} more' if left > 0 else ''}]"


class UnknownMessage(InvalidMessage):
    """A message of a kind, name or version that the reader doesn't know."""

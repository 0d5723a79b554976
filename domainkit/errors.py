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
        """The text of the id, or what has one."""


def _read_only(info: Mapping[str, object] | None) -> Mapping[str, object] | None:
    if info is None or isinstance(info, Mapping):
        return frozen_copy(info)  # type: ignore[return-value]  # of a mapping, a mapping
    raise TypeError(
        f"additional_info: expected a mapping, such as {{'message': '...'}}, not a {type(info).__qualname__}"
    )


@frozen(kw_only=True, repr=False, order=False)
class DomainError(Frozen, Exception):
    """An expected outcome of the domain, as a value: put it in a `Failure`, or raise it.

    Equal to another of exactly its class with the same fields; hashable and picklable. Derive your own errors from it
    (or from one below it); an error with fields of its own takes `@attrs.frozen`.

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
        additional_info: what else a reader needs to know. It is shown in `detail()`: keep secrets out of it. A
            read-only copy is kept, with tuples for lists and frozensets for sets, at any depth.

    Raises:
        TypeError: `additional_info` is no mapping; or, at class definition, a field has a name that exceptions use, or
            a type whose values can change; or, at the first instance, `@attrs.frozen` is missing above fields.
    """

    uuid_value: str | None = None
    additional_info: Mapping[str, object] | None = field(default=None, converter=_read_only)

    _own_constructor: ClassVar[bool] = True
    _reserved_names: ClassVar[frozenset[str]] = frozenset({"args", "with_traceback", "add_note", "detail"})

    def detail(self) -> str:
        """Return `Name (uuid) [{info}]`, fit for a log; a part that is absent is left out.

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
        """Refuse what an own constructor calls where no decorator of attrs has made it."""
        require_decorated(type(self))
        raise TypeError(f"{type(self).__qualname__}.__init__: expected a call of super().__init__, got another")

    def _content(self) -> tuple[object, ...]:
        return tuple(getattr(self, attribute.name) for attribute in attrs.fields(type(self)))

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._content() == other._content()

    def __hash__(self) -> int:
        # of a mapping its keys alone: its values may have no hash
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
    beside: Mapping[str, object] = FrozenMapping(),
) -> DomainError:
    """Return the error of its fields and of what it has beside them, such as notes."""
    error = cls.__new__(cls, *args)
    fill(error, content)
    for name, value in beside.items():
        object.__setattr__(error, name, value)
    return error


class CriticalError(DomainError):
    """Something that a person must look at: the guard of a use case hands it to the notifier, if there is one."""


@frozen(kw_only=True, repr=False)
class BusCannotPublish(CriticalError):
    """A bus could not hand over a message. `additional_info` says which and why.

    Args:
        retry_after: the time after which it is worth another try, if that is known.
    """

    retry_after: timedelta | None = None


class MessageRefused(BusCannotPublish):
    """A reachable broker refused this one message: no queue is bound for it, or the broker said no.

    Other messages may go through; this one will be refused again until something is mended.
    """


@frozen(kw_only=True, repr=False)
class OutcomeUnknownError(CriticalError):
    """A change was sent to be committed, and no answer came: it may have been stored, or not.

    Neither a success nor a failure: look at what is stored before you do it again, or do it in a way that may be
    repeated.

    Args:
        retry_after: the time after which it is worth a look, if that is known.
    """

    retry_after: timedelta | None = None


@frozen(kw_only=True, repr=False)
class UnknownError(DomainError):
    """A bug, or a failure that nobody expected, as the guard of a use case reports it.

    It says where it happened and which class of exception it was, and neither the exception's text nor the parameters
    of the call: those may hold secrets. The exception itself is its `__cause__`, for a debugger; it isn't compared,
    pickled or shown.

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
        """Return the error for `exception`, with the place where it was raised and the exception as its cause.

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
    """Something that was asked for isn't there."""


class ClientNotFound(NotFound):
    """The client does not exist."""


class UserNotFound(NotFound):
    """The user does not exist."""


class AggregateNotFoundError(NotFound):
    """There is no aggregate with this id in the repository; or none for what was looked for, which is no id.

    >>> from domainkit import Uuid
    >>> AggregateNotFoundError(Uuid.from_str("a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11"), "tasks").additional_info
    {'message': 'Aggregate (a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11) not found (repository: tasks)'}
    >>> AggregateNotFoundError(repository_name="tasks").additional_info
    {'message': 'Aggregate not found (repository: tasks)'}

    Args:
        aggregate_id: the id that was looked for; None where it was something else, such as a title.
        repository_name: the repository, for the message.

    Raises:
        TypeError: `aggregate_id` is no id, but its text, say.
    """

    def __init__(self, aggregate_id: Identified | None = None, repository_name: str | None = None) -> None:
        uuid_value = _text_of(self, aggregate_id)
        message = f"{_aggregate(uuid_value)} not found{_in_repository(repository_name)}"
        super().__init__(uuid_value=uuid_value, additional_info={"message": message})


class AggregatesNotFoundError(NotFound):
    """There is no aggregate at all in the repository."""

    def __init__(self, repository_name: str | None = None) -> None:
        super().__init__(additional_info={"message": f"Aggregates not found{_in_repository(repository_name)}"})


class AlreadyExists(DomainError):
    """The object to create exists already."""


class ClientAlreadyExists(AlreadyExists):
    """There is such a client already."""


class UserAlreadyExists(AlreadyExists):
    """There is such a user already."""


class AggregateAlreadyExistError(AlreadyExists):
    """There is an aggregate with this id in the repository already; or one with something else of which one may be.

    >>> AggregateAlreadyExistError(repository_name="tasks").additional_info
    {'message': 'Aggregate already exist (repository: tasks)'}

    Args:
        aggregate_id: the id that is taken; None where it is something else, such as a title.
        repository_name: the repository, for the message.
        table_name: the table, for the message.

    Raises:
        TypeError: `aggregate_id` is no id, but its text, say.
    """

    def __init__(
        self, aggregate_id: Identified | None = None, repository_name: str | None = None, table_name: str | None = None
    ) -> None:
        uuid_value = _text_of(self, aggregate_id)
        table = f" (table: {table_name})" if table_name else ""
        message = f"{_aggregate(uuid_value)} already exist{_in_repository(repository_name)}{table}"
        super().__init__(uuid_value=uuid_value, additional_info={"message": message})


class ConflictError(DomainError):
    """Another transaction got in the way, and nothing of this one is stored: do the whole of it again.

    It is expected if several work on the same data, and no bug of anybody's: read again, decide again, store again. A
    policy for that is `retried(..., on=ConflictError)`. Inside of a use case, one that is raised is returned as a
    Failure, like one that is unwrapped.

    >>> issubclass(AggregateVersionConflictError, ConflictError)
    True
    """


class AggregateVersionConflictError(ConflictError):
    """The stored aggregate moved on since the one at hand was read: read it again, and decide again.

    Args:
        aggregate_id: the aggregate's id.
        expected_version: the version of the aggregate at hand.
        stored_version: the version found in the repository, where it is known.
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
    """Return the text of an id, if there is one."""
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
    """One thing that is wrong with a message, or with data for a value object.

    Args:
        path: where, as a JSONPath from the root of the data (RFC 9535), such as `$.data.attributes.lines[3].sku`.
        expected: what belongs there, in words.
        code: what is wrong, for programs: `missing`, `type`, `value`, `json`, `limit`, `unknown`, `duplicate`.
    """

    path: str
    expected: str
    code: str

    def __str__(self) -> str:
        return shown(f"{self.path}: expected {self.expected} ({self.code})")


@frozen(kw_only=True, repr=False)
class InvalidValueObject(DomainError, ValueError):
    """A value that a value object refuses. Its text gives the class and the reason, and never the value.

    Args:
        problems: each thing that is wrong, with its path, if `parse` read a value object of several fields.
    """

    problems: tuple[Problem, ...] = ()


class InvalidUuid(InvalidValueObject):
    """A value that is no UUID."""


_SHOWN_PROBLEMS = 5


@frozen(kw_only=True, repr=False)
class InvalidMessage(DomainError):
    """Bytes, text or builtins that are no message, or a message that could not be read back once written.

    >>> InvalidMessage(problems=(Problem("$.data.id", "a UUID", "missing"),)).detail()
    'InvalidMessage [$.data.id: expected a UUID (missing)]'

    Args:
        problems: each thing that is wrong, with its path; never the value found there.
    """

    problems: tuple[Problem, ...] = ()

    def detail(self) -> str:
        """Return the error's name and its problems, the first five in full."""
        if not self.problems:
            return super().detail()
        shown = "; ".join(map(str, self.problems[:_SHOWN_PROBLEMS]))
        left = len(self.problems) - _SHOWN_PROBLEMS
        return f"{type(self).__name__} [{shown}{f'; and {left} more' if left > 0 else ''}]"


class UnknownMessage(InvalidMessage):
    """A message of a kind, name or version that the reader does not know."""

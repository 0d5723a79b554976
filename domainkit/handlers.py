"""Functions bound to the class of the messages that they are called with: what `handled_by` makes."""

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any, Generic, TypeAlias, get_origin

from attrs import field, frozen
from returns.result import Result
from typing_extensions import TypeVar

MessageT = TypeVar("MessageT")
R_co = TypeVar("R_co", covariant=True)
E_co = TypeVar("E_co", covariant=True)


def class_of(message_type: type[MessageT]) -> type[MessageT]:
    """Return a class of messages without type arguments: a message doesn't know those of its class."""
    return get_origin(message_type) or message_type


@frozen
class Handler(Generic[MessageT, R_co, E_co]):
    """A function bound to the class of the commands that it handles. Made by `handled_by`.

    Args:
        message_type: the class of the commands.
        function: what handles one.
    """

    message_type: type[MessageT] = field(converter=class_of)
    function: Callable[[MessageT], Result[R_co, E_co]]


@frozen
class AsyncHandler(Generic[MessageT, R_co, E_co]):
    """A coroutine function bound to the class of the commands that it handles. Made by `handled_by`.

    Args:
        message_type: the class of the commands.
        function: what handles one.
    """

    message_type: type[MessageT] = field(converter=class_of)
    function: Callable[[MessageT], Awaitable[Result[R_co, E_co]]]


@frozen
class Subscriber(Generic[MessageT]):
    """A function bound to the class of the events that it is called for. Made by `handled_by`.

    Args:
        message_type: the class of the events; those of its subclasses come too.
        function: what is called with one.
    """

    message_type: type[MessageT] = field(converter=class_of)
    function: Callable[[MessageT], Result[object, object] | None]


@frozen
class AsyncSubscriber(Generic[MessageT]):
    """A coroutine function bound to the class of the events that it is called for. Made by `handled_by`.

    Args:
        message_type: the class of the events; those of its subclasses come too.
        function: what is called with one.
    """

    message_type: type[MessageT] = field(converter=class_of)
    function: Callable[[MessageT], Awaitable[Result[object, object] | None]]


SyncHandler: TypeAlias = Handler[Any, object, object]  # Any: of commands of whatever class
AnyHandler: TypeAlias = SyncHandler | AsyncHandler[Any, object, object]
SyncSubscriber: TypeAlias = Subscriber[Any]  # Any: of events of whatever class
AnySubscriber: TypeAlias = SyncSubscriber | AsyncSubscriber[Any]


def is_async(function: object) -> bool:
    """Return True if calling `function` gives an awaitable: a coroutine function, or an object whose call is one."""
    return iscoroutinefunction(function) or iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004  (its call is looked at, not called)

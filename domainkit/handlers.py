"""Functions bound to the class of the messages that they handle, made by `handled_by`."""

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
    """Return a message class without type arguments, which its instances don't have."""
    return get_origin(message_type) or message_type


@frozen
class Handler(Generic[MessageT, R_co, E_co]):
    """Function bound to the class of the commands that it handles. Made by `handled_by`.

    Args:
        message_type: the class of the commands.
        function: handles a command.
    """

    message_type: type[MessageT] = field(converter=class_of)
    function: Callable[[MessageT], Result[R_co, E_co]]


@frozen
class AsyncHandler(Generic[MessageT, R_co, E_co]):
    """Coroutine function bound to the class of the commands that it handles. Made by `handled_by`.

    Args:
        message_type: the class of the commands.
        function: handles a command.
    """

    message_type: type[MessageT] = field(converter=class_of)
    function: Callable[[MessageT], Awaitable[Result[R_co, E_co]]]


@frozen
class Subscriber(Generic[MessageT]):
    """Function bound to the class of the events that it is called for. Made by `handled_by`.

    Args:
        message_type: the class of the events, including its subclasses.
        function: called with an event.
    """

    message_type: type[MessageT] = field(converter=class_of)
    function: Callable[[MessageT], Result[object, object] | None]


@frozen
class AsyncSubscriber(Generic[MessageT]):
    """Coroutine function bound to the class of the events that it is called for. Made by `handled_by`.

    Args:
        message_type: the class of the events, including its subclasses.
        function: called with an event.
    """

    message_type: type[MessageT] = field(converter=class_of)
    function: Callable[[MessageT], Awaitable[Result[object, object] | None]]


SyncHandler: TypeAlias = Handler[Any, object, object]  # Any: a command class
AnyHandler: TypeAlias = SyncHandler | AsyncHandler[Any, object, object]
SyncSubscriber: TypeAlias = Subscriber[Any]  # Any: an event class
AnySubscriber: TypeAlias = SyncSubscriber | AsyncSubscriber[Any]


def is_async(function: object) -> bool:
    """Check if `function` is a coroutine function, or an object whose `__call__` is one."""
    return iscoroutinefunction(function) or iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004  (checked, not called)

"""Typed dispatch in process: a command goes to its one handler, and the answer's type is known."""

from types import MappingProxyType
from typing import Any, TypeVar

from returns.result import Failure, Result

from domainkit.errors import DomainError
from domainkit.messages import Command, Handler
from domainkit.results import name_of

R = TypeVar("R")
E = TypeVar("E")


class CommandNotHandled(DomainError):
    """A command was sent that no handler is bound to."""


class Mediator:
    """Sends commands to their handlers. See Gamma et al., Design Patterns (1994), Mediator.

    >>> from attrs import frozen
    >>> from returns.result import Success
    >>> @frozen
    ... class Greet(Command[str, DomainError]):
    ...     name: str
    >>> def greet(command: Greet) -> Result[str, DomainError]:
    ...     return Success(f"Hello {command.name}")
    >>> Mediator(Greet.handled_by(greet)).send(Greet("Ada"))
    <Success: Hello Ada>

    Args:
        handlers: bound by `handled_by`, one for a class of commands.

    Raises:
        TypeError: two handlers are bound to one class, or one of them is no Handler.
    """

    __slots__ = ("_handlers",)

    def __init__(self, *handlers: Handler[Any, Any, Any]) -> None:
        self._handlers = MappingProxyType(by_type(handlers))

    def send(self, command: Command[R, E]) -> Result[R, E | CommandNotHandled]:
        """Return what the handler of the command's class returns; a Failure with CommandNotHandled where there is none.

        What the handler raises is raised here: put the guard (`use_case`) around the handler.
        """
        handler = self._handlers.get(type(command))
        if handler is None:
            return Failure(
                CommandNotHandled(additional_info={"message": f"no handler for {type(command).__qualname__}"})
            )
        answer: Result[R, E] = handler.function(command)
        return answer


def by_type(handlers: tuple[Handler[Any, Any, Any], ...]) -> dict[type, Handler[Any, Any, Any]]:
    """Return the handlers by the class of their messages.

    Raises TypeError where a class has two.
    """
    found: dict[type, Handler[Any, Any, Any]] = {}
    for handler in handlers:
        if not isinstance(handler, Handler):
            raise TypeError(f"expected a handler made by handled_by, not a {type(handler).__qualname__}")
        if handler.message_type in found:
            first, second = name_of(found[handler.message_type].function), name_of(handler.function)
            raise TypeError(f"two handlers for {handler.message_type.__qualname__}: {first} and {second}; keep one")
        found[handler.message_type] = handler
    return found

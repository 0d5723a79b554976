"""The mediator: one handler for a class of commands, and its answer."""

import pytest
from attrs import frozen
from returns.result import Failure, Result, Success

from domainkit import Command, CommandNotHandled, DomainError, DomainEvent, Mediator, UseCase, use_case


class Refused(DomainError): ...


@frozen
class Half(Command[int, Refused]):
    number: int


class SpecialHalf(Half):
    """A command of a subclass, without a handler of its own."""


class Ping(Command[str, DomainError]): ...


class Forget(Command): ...


def half(command: Half) -> Result[int, Refused]:
    """Halve an even number."""
    return Failure(Refused()) if command.number % 2 else Success(command.number // 2)


def pong(command: Ping) -> Result[str, DomainError]:
    """Answer."""
    return Success(f"pong {command.header.id}")


def forget(command: Forget) -> Result[None, DomainError]:
    """Do nothing."""
    return Success(None)


def test_send_returns_what_the_handler_returns() -> None:
    """Send gives each command to the handler of its class, and returns the handler's very Result."""
    mediator = Mediator(Half.handled_by(half), Ping.handled_by(pong), Forget.handled_by(forget))
    ping = Ping()
    assert Success(2) == mediator.send(Half(4))
    assert Failure(Refused()) == mediator.send(Half(5))
    assert Success(f"pong {ping.header.id}") == mediator.send(ping)
    assert Success(None) == mediator.send(Forget())


def test_the_handler_gets_the_very_command() -> None:
    """The handler is called once, with the command that was sent."""
    seen: list[Ping] = []

    def see(command: Ping) -> Result[str, DomainError]:
        seen.append(command)
        return Success("seen")

    command = Ping()
    Mediator(Ping.handled_by(see)).send(command)
    assert len(seen) == 1
    assert seen[0] is command


@pytest.mark.parametrize("mediator", [Mediator(), Mediator(Ping.handled_by(pong))])
def test_a_command_without_handler_is_a_failure(mediator: Mediator) -> None:
    """A command whose class has no handler is CommandNotHandled, which names the class and nothing of the payload."""
    failure = mediator.send(Half(4711))
    assert Failure(CommandNotHandled(additional_info={"message": "no handler for Half"})) == failure


def test_a_subclass_needs_a_handler_of_its_own() -> None:
    """A command of a subclass isn't given to the handler of its base: a handler answers for just its class."""
    special = Mediator(Half.handled_by(half)).send(SpecialHalf(4))
    assert isinstance(special.failure(), CommandNotHandled)
    assert Success(2) == Mediator(SpecialHalf.handled_by(half)).send(SpecialHalf(4))
    both = Mediator(Half.handled_by(half), SpecialHalf.handled_by(lambda _: Success(7)))
    assert (Success(2), Success(7)) == (both.send(Half(4)), both.send(SpecialHalf(4)))


def test_two_handlers_for_a_command_are_refused() -> None:
    """Two handlers for one class, even the same one twice, are a TypeError that names the class and both handlers."""

    def third(command: Half) -> Result[int, Refused]:
        return Success(command.number // 3)

    name = "test_two_handlers_for_a_command_are_refused.<locals>.third"
    with pytest.raises(TypeError, match=rf"^Half: expected one handler, got half and {name}; keep one$"):
        Mediator(Half.handled_by(half), Ping.handled_by(pong), Half.handled_by(third))
    bound = Half.handled_by(half)
    with pytest.raises(TypeError, match=r"^Half: expected one handler, got half and half; keep one$"):
        Mediator(bound, bound)


@pytest.mark.parametrize("wrong", [half, None, Half, DomainEvent.handled_by(lambda _: None)])
def test_what_is_no_handler_is_refused(wrong: object) -> None:
    """A function that wasn't bound by handled_by, and a subscriber, are a TypeError when the mediator is made."""
    with pytest.raises(TypeError, match=r"^expected a handler made by handled_by, got a "):
        Mediator(wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_what_a_handler_raises_is_raised() -> None:
    """The mediator is no guard: an exception of the handler is raised by send, unless the handler is a use case."""

    def fail(command: Ping) -> Result[str, DomainError]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Mediator(Ping.handled_by(fail)).send(Ping())
    error = Mediator(Ping.handled_by(use_case(fail))).send(Ping()).failure()
    assert "UnknownError" == type(error).__name__


@frozen
class Third(Command[int, DomainError]):
    number: int


@frozen
class TakeThird(UseCase[[Third], int, Refused]):
    limit: int

    def execute(self, command: Third) -> Result[int, Refused]:
        return Success(command.number // 3) if command.number < self.limit else Failure(Refused())


def test_a_use_case_is_a_handler() -> None:
    """A use case that takes the command is bound like a function, where the command's errors allow an UnknownError."""
    mediator = Mediator(Third.handled_by(TakeThird(10)))
    assert (Success(3), Failure(Refused())) == (mediator.send(Third(9)), mediator.send(Third(12)))


def test_handlers_send_further_commands() -> None:
    """A handler may send other commands through the same mediator."""
    mediators: list[Mediator] = []

    def quarter(command: SpecialHalf) -> Result[int, Refused]:
        (mediator,) = mediators
        once = mediator.send(Half(command.number))
        return once.bind(lambda number: mediator.send(Half(number))).alt(lambda _: Refused())

    mediators.append(Mediator(Half.handled_by(half), SpecialHalf.handled_by(quarter)))
    assert Success(2) == mediators[0].send(SpecialHalf(8))
    assert Failure(Refused()) == mediators[0].send(SpecialHalf(10))

"""Pipelines, publishing to a subscriber, and sending a command: what each costs over calling the function."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Final

from attrs import frozen
from returns.pipeline import flow
from returns.pointfree import bind
from returns.result import Failure, Result, Success

from benchmarks.effort import Effort
from benchmarks.measuring import Batch, Rounds, Spread, calls, difference, interleave, ratio
from benchmarks.peers import mediators, publishers
from benchmarks.results import Bar, Comparison, Figure, Findings, Sense
from domainkit import Command, DomainError, DomainEvent, InmemoryDomainEventBus, Mediator, pipeline

_HAND: Final = "if / return by hand"
_MATCH: Final = "match / return by hand"
_FLOW: Final = "returns.flow"
_CALL: Final = "a plain call"
_OURS: Final = "domainkit"


@frozen
class Placed(DomainEvent):
    """Something to publish."""

    number: int


@frozen
class Place(Command[int, DomainError]):
    """Something to send."""

    number: int


def parse(text: str) -> Result[int, ValueError]:
    """Return the number that the text is."""
    return Success(int(text)) if text.isdecimal() else Failure(ValueError(text))


def positive(number: int) -> Result[int, ArithmeticError]:
    """Return the number if it is above zero."""
    return Success(number) if number > 0 else Failure(ArithmeticError(number))


def doubled(number: int) -> Result[int, OverflowError]:
    """Return the double of a small number."""
    return Success(number + number) if number < 1_000_000 else Failure(OverflowError(number))


def by_hand(text: str) -> Result[int, ValueError | ArithmeticError]:
    """Do the three steps as one writes them without any help."""
    first = parse(text)
    if isinstance(first, Failure):
        return first
    second = positive(first.unwrap())
    if isinstance(second, Failure):
        return second
    return doubled(second.unwrap())


def by_match(text: str) -> Result[int, ValueError | ArithmeticError]:
    """Do the three steps with pattern matching."""
    first = parse(text)
    match first:
        case Success(number):
            second = positive(number)
            match second:
                case Success(number):
                    return doubled(number)
            return second
    return first


def by_flow(text: str) -> Result[int, ValueError | ArithmeticError]:
    """Do the three steps with `flow` and `bind`."""
    made: Result[int, ValueError | ArithmeticError] = flow(text, parse, bind(positive), bind(doubled))
    return made


def subscriber(event: Placed) -> None:
    """Do as little as a function can."""


def handler(command: Place) -> Result[int, DomainError]:
    """Do as little as a handler can."""
    return Success(command.number)


def measure(effort: Effort) -> Findings:
    """Return the cost of all three, and of peers' ways to do the latter two, where they are installed."""
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        published, left_out = publishers(runner, stack)
        sent, left_out_too = mediators(runner, stack)
        batches = {
            **_named("pipeline", _pipelines()),
            **_named("publish", {**_publishing(), **published}),
            **_named("send", {**_sending(), **sent}),
        }
        rounds = interleave(batches, rounds=effort.rounds, seconds=effort.seconds)
    figures = tuple(_figure(name, seconds) for name, seconds in rounds.items())
    return Findings(figures, _comparisons(rounds), tuple(dict.fromkeys((*left_out, *left_out_too))))


def _figure(name: str, seconds: Sequence[float]) -> Figure:
    group, _, way = name.partition(": ")
    return Figure(group, way, "us", Spread.of([one * 1e6 for one in seconds]))


def _named(group: str, batches: dict[str, Batch]) -> dict[str, Batch]:
    return {f"{group}: {name}": batch for name, batch in batches.items()}


def _pipelines() -> dict[str, Batch]:
    ways: dict[str, Callable[[str], object]] = {
        _OURS: pipeline(parse, positive, doubled),
        _HAND: by_hand,
        _MATCH: by_match,
        _FLOW: by_flow,
    }
    return {name: calls(way, "4711") for name, way in ways.items()}


def _publishing() -> dict[str, Batch]:
    event = Placed(7)

    def on_new_bus(number: int) -> float:
        """Publish on a bus of this batch alone, since a bus in memory keeps what was published."""
        return calls(InmemoryDomainEventBus(Placed.handled_by(subscriber)).publish, event)(number)

    return {_OURS: on_new_bus, _CALL: calls(subscriber, event)}


def _sending() -> dict[str, Batch]:
    command = Place(7)
    return {_OURS: calls(Mediator(Place.handled_by(handler)).send, command), _CALL: calls(handler, command)}


def _comparisons(rounds: Rounds) -> tuple[Comparison, ...]:
    ours = rounds[f"pipeline: {_OURS}"]
    hand = min((rounds[f"pipeline: {way}"] for way in (_HAND, _MATCH)), key=lambda seconds: Spread.of(seconds).median)
    flowed = rounds[f"pipeline: {_FLOW}"]
    return (
        Comparison(
            "pipeline of 3: time against the faster by hand", "x", ratio(ours, hand), Bar(Sense.AT_MOST, 2, 1.5)
        ),
        Comparison(f"pipeline of 3: faster than {_FLOW}", "x", ratio(flowed, ours), Bar(Sense.AT_LEAST, 1)),
        Comparison("publish: over a plain call", "us", _over_a_call("publish", rounds), Bar(Sense.AT_MOST, 2, 1)),
        Comparison("send: over a plain call", "us", _over_a_call("send", rounds)),
    )


def _over_a_call(group: str, rounds: Rounds) -> Spread:
    more, less = ([one * 1e6 for one in rounds[f"{group}: {name}"]] for name in (_OURS, _CALL))
    return difference(more, less)

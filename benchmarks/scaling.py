"""Measures the cost per message as a codec knows more types, and the cost per line as messages get longer."""

from collections.abc import Callable
from typing import Final

from attrs import frozen
from returns.result import Result

from benchmarks.contenders import by_hand
from benchmarks.contenders.domain import OrderPlaced, order_placed
from benchmarks.effort import Effort
from benchmarks.measuring import Rounds, Spread, calls, interleave, ratio
from benchmarks.order import lines
from benchmarks.results import Bar, Comparison, Figure, Findings, Sense
from domainkit import DomainEvent, InvalidMessage, Message, MessageCodec, Uuid

_FLAT: Final = Bar(Sense.AT_MOST, 1.2)
_EMPTY: Final = 0
_ENOUGH: Final = 10
"""The number of lines from which their cost stands out of the noise of the whole message."""


def measure(effort: Effort) -> Findings:
    """Return the cost per message and per line."""
    return _types(effort) + _lines(effort)


def _types(effort: Effort) -> Findings:
    batches = {}
    for count in effort.types:
        codec = MessageCodec(OrderPlaced, *(_event_class(number) for number in range(count - 1)))
        event = order_placed()
        batches[f"{count:,} types"] = calls(_both_ways(codec), event)
    rounds = interleave(batches, rounds=effort.rounds, seconds=effort.seconds)
    fewest, *_, most = rounds
    compared = Comparison(f"time per message: {most} against {fewest}", "x", ratio(rounds[most], rounds[fewest]), _FLAT)
    return Findings(_figures("encode and decode with", rounds), (compared,))


def _event_class(number: int) -> type[Message]:
    """Return another message class, as a program with that many of them has."""

    @frozen
    class Event(DomainEvent):
        order_id: Uuid
        number: int

        class Config:
            name = f"event.{number}"

    return Event


def _both_ways(codec: MessageCodec) -> Callable[[Message], Result[Message, InvalidMessage]]:
    encode, decode = codec.encode, codec.decode
    return lambda event: decode(encode(event))


def _lines(effort: Effort) -> Findings:
    """Return the cost per line with the garbage collector at rest, and then what it adds.

    CPython's collector looks at all young objects again and again while many are made, whoever makes them; so the bar
    is for the rest, and the same by hand stands beside both: many objects take more time each, as caches are small.
    """
    codec = MessageCodec(OrderPlaced)
    events = {count: order_placed(lines(count)) for count in effort.lines}
    raws = {count: codec.encode(event) for count, event in events.items()}
    encoding = {str(count): calls(codec.encode, event, collector=False) for count, event in events.items()}
    decoding = {str(count): calls(codec.decode, raw, collector=False) for count, raw in raws.items()}
    by_hand_decoding = {str(count): calls(by_hand.decode, raw, collector=False) for count, raw in raws.items()}
    found = Findings(
        notes=(
            "The time per line is measured with the garbage collector off, except in the rows marked as collecting.",
        )
    )
    for operation, batches, bar in (
        ("encode", encoding, _FLAT),
        ("decode", decoding, _FLAT),
        ("decode by hand", by_hand_decoding, None),
        ("decode, collecting", {str(count): calls(codec.decode, raw) for count, raw in raws.items()}, None),
        ("decode by hand, collecting", {str(count): calls(by_hand.decode, raw) for count, raw in raws.items()}, None),
    ):
        rounds = interleave(batches, rounds=effort.rounds, seconds=effort.seconds)
        found += _per_line(operation, rounds, bar)
    return found


def _per_line(operation: str, rounds: Rounds, bar: Bar | None) -> Findings:
    """Return what a line costs: the message with lines less the one without, through the number of lines."""
    empty = rounds[str(_EMPTY)]
    per_line = {
        count: tuple((one - without) / int(count) for one, without in zip(rounds[count], empty, strict=True))
        for count in rounds
        if int(count) >= _ENOUGH
    }
    longest = max(per_line, key=int)
    cheapest = min(set(per_line) - {longest}, key=lambda count: Spread.of(per_line[count]).median)
    compared = Comparison(
        f"{operation}: time per line, {longest} lines against {cheapest}",
        "x",
        ratio(per_line[longest], per_line[cheapest]),
        bar,
    )
    return Findings(_figures(f"{operation}, a line of", per_line, "{} lines"), (compared,))


def _figures(group: str, rounds: Rounds, label: str = "{}") -> tuple[Figure, ...]:
    return tuple(
        Figure(group, label.format(name), "us", Spread.of([one * 1e6 for one in seconds]))
        for name, seconds in rounds.items()
    )

"""The counts of a run: what became of each message, against what was due."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from attrs import frozen
from interop import facts

Fates = Mapping[tuple[str, str], Mapping[str, int | None]]
"""By side and subscriber: the ids due to it, each with how many failures come before its effect; None: it is dead."""


def canonical(value: object) -> str:
    """Return builtins as one text, which tells 1 from 1.0 and 0.0 from -0.0."""
    return json.dumps(value, sort_keys=True)


@frozen
class Placed:
    """A message as the broker had it."""

    name: str
    number: int
    source: str
    version: int
    body: bytes

    @classmethod
    def of(cls, body: bytes) -> tuple[str, Self]:
        """Return its id, and what it is."""
        data = json.loads(body)["data"]
        source, number = data["meta"]["source"], data["attributes"]["number"]
        return data["id"], cls(data["type"], number, source, data["version"], body)

    def is_as_meant(self) -> bool:
        """Tell whether its publisher wrote what it was given."""
        data = json.loads(self.body)["data"]
        meant = facts.attributes(self.name, self.number, self.version), facts.meta(self.source, self.number)
        return canonical(meant) == canonical((data["attributes"], data["meta"]))

    def is_read_as(self, content: str) -> bool:
        """Tell whether a reader has all that was written; one that tells of a new version has lifted an old one."""
        data, found = json.loads(self.body)["data"], json.loads(content)
        if found["version"] != self.version:
            data |= {"version": 2, "attributes": facts.attributes(self.name, self.number, 2)}
        return canonical(data) == canonical(found)


@frozen
class Count:
    """A row of the table: what a side made of the messages of a source."""

    run: str
    source: str
    side: str
    placed: int
    """Messages that the broker had."""
    due: int
    """Those, times the subscribers to each."""
    handled: int
    retried: int
    """Calls after the first."""
    dead: int
    lost: int
    """Neither handled nor dead; or published, by the word of the publisher, and never on the broker."""
    twice: int
    """Effects after the first."""
    differ: int
    """Messages that were written, read or buried otherwise than they were meant."""
    off: int
    """Messages that ended where they should not, were handled too often or too seldom, or came from nowhere."""

    @property
    def is_right(self) -> bool:
        """Tell whether nothing is missing, doubled or changed, and something was done."""
        return self.placed > 0 and (0, 0, 0, 0) == (self.lost, self.twice, self.differ, self.off)


def fates_of(placed: Mapping[str, Placed], subscribers: Iterable[tuple[str, facts.Subscriber]]) -> Fates:
    """Return what is due to become of the messages."""
    return {
        (side, one.name): {
            message_id: one.failures(message.number)
            for message_id, message in placed.items()
            if one.of in {message.name, ""}
        }
        for side, one in subscribers
    }


@frozen
class Outcome:
    """The fate of the messages of one subscriber: the calls, the effects, and the dead letters."""

    side: str
    calls: Sequence[tuple[str, str]]
    effects: Sequence[str]
    dead: Sequence[bytes]

    def counted(self, placed: Mapping[str, Placed], due: Mapping[str, int | None], limit: int | None) -> Counter[str]:
        """Compare with what was due.

        Args:
            placed: all messages.
            due: those to look at: of one source.
            limit: how many retries there are; None where a message may come again without having failed.
        """
        calls = Counter(one for one, _ in self.calls if one in due)
        effects = Counter(one for one in self.effects if one in due)
        letters = [(one, body) for one, body in ((Placed.of(body)[0], body) for body in self.dead) if one in due]
        dead = Counter(one for one, _ in letters)
        misread = sum(one in due and not placed[one].is_read_as(content) for one, content in self.calls)
        return Counter(
            due=len(due),
            handled=len(effects),
            retried=calls.total() - len(calls),
            dead=len(dead),
            lost=len(due.keys() - effects.keys() - dead.keys()),
            twice=effects.total() - len(effects),
            differ=misread + sum(placed[one].body != body for one, body in letters),
            off=sum(_is_off(fails, limit, calls[one], effects[one], dead[one]) for one, fails in due.items()),
        )

    def strangers(self, placed: Mapping[str, Placed]) -> int:
        """Return how many calls had a message that the broker never had."""
        return sum(one not in placed for one, _ in self.calls)


def _is_off(failures: int | None, limit: int | None, calls: int, effects: int, dead: int) -> bool:
    """Tell whether a message ended where it should not, or was handled another number of times than is due."""
    if limit is None:
        return ((effects > 0), (dead > 0)) != (failures is not None, failures is None)
    return (calls, effects, dead) != ((limit + 1, 0, 1) if failures is None else (failures + 1, 1, 0))


def table(counts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a table of counts, as lines."""
    head = {"source": "from", "side": "to"}
    rows = [[head.get(name, name) for name in counts[0]], *([str(value) for value in one.values()] for one in counts)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(_aligned, range(len(row)), row, widths)) for row in rows]


def _aligned(place: int, cell: str, width: int) -> str:
    return cell.ljust(width) if place < 3 else cell.rjust(width)

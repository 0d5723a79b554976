"""Results of a run: figures, and how they compare with the bars."""

from collections.abc import Mapping
from enum import Enum
from typing import Any

from attrs import asdict, field, frozen

from benchmarks.measuring import Spread


class Sense(Enum):
    """The direction in which a number is better: higher or lower."""

    AT_LEAST = "at least"
    AT_MOST = "at most"


@frozen
class Bar:
    """A bar that a number must reach, and the goal that it is to reach in the end.

    >>> Bar(Sense.AT_LEAST, 2, 3).verdict(2.4)
    'bar met'
    """

    sense: Sense
    must: float
    goal: float | None = None

    def verdict(self, number: float) -> str:
        """Return which of the two the number reaches."""
        if self.goal is not None and self._reached(number, self.goal):
            return "goal met"
        return "bar met" if self._reached(number, self.must) else "MISSED"

    def _reached(self, number: float, line: float) -> bool:
        return number >= line if self.sense is Sense.AT_LEAST else number <= line


@frozen
class Figure:
    """The time or rate of one contender for one thing.

    Args:
        group: the table that it stands in, such as `encode`.
        name: the contender.
        unit: `us`, `ms`, `bytes` or `x`.
        value: the figure; its spread is nothing where it is no time.
    """

    group: str
    name: str
    unit: str
    value: Spread


@frozen
class Comparison:
    """The ratio of domainkit to another way.

    Args:
        what: what is compared, and with what.
        unit: `x` for a ratio, `us` for a difference.
        value: the median and spread over the rounds.
        bar: what it must reach; None where it is told for information.
    """

    what: str
    unit: str
    value: Spread
    bar: Bar | None = None

    @property
    def verdict(self) -> str:
        """The verdict on the median, by the bar and the goal."""
        return "" if self.bar is None else self.bar.verdict(self.value.median)


@frozen
class Findings:
    """All that a part of the benchmarks found, in the order in which it is shown."""

    figures: tuple[Figure, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    notes: tuple[str, ...] = ()

    def __add__(self, other: "Findings") -> "Findings":
        """Return both, one after the other."""
        return Findings(self.figures + other.figures, self.comparisons + other.comparisons, self.notes + other.notes)


@frozen
class Report:
    """A whole run.

    Args:
        machine: where it ran, as label and text.
        mode: `quick` or `full`.
        findings: what it found.
        without_c: the same where domainkit does everything in Python; nothing where the whole run was like that.
    """

    machine: Mapping[str, str]
    mode: str
    findings: Findings = field(factory=Findings)
    without_c: tuple[Comparison, ...] = ()

    def builtins(self) -> dict[str, Any]:
        """Return the report as JSON can carry it."""
        made = asdict(self, value_serializer=lambda _, __, value: value.value if isinstance(value, Enum) else value)
        comparisons = (*self.findings.comparisons, *self.without_c)
        for plain, comparison in zip((*made["findings"]["comparisons"], *made["without_c"]), comparisons, strict=True):
            plain["verdict"] = comparison.verdict
        return made

"""The time that a run spends: quick for a look, full for figures to write down."""

from typing import Final

from attrs import frozen


@frozen
class Effort:
    """The sizes of a run.

    Args:
        mode: what it is called.
        rounds: turns of each function that is measured.
        seconds: about how long a turn takes.
        imports: fresh interpreters for each import time.
        types: how many message types a codec knows.
        lines: how many lines a message has.
    """

    mode: str
    rounds: int
    seconds: float
    imports: int
    types: tuple[int, ...]
    lines: tuple[int, ...]


QUICK: Final = Effort("quick", 15, 0.005, 9, (10, 100, 1000), (0, 10, 100, 1000, 10_000))
FULL: Final = Effort("full", 60, 0.015, 60, (10, 100, 1000, 10_000), (0, 10, 100, 1000, 10_000))

"""The contenders: one file each, all doing the same work with the same order."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Final

from attrs import frozen

from benchmarks.order import Facts


@frozen
class Contender:
    """One way to make an order event, and to bring it to bytes and back.

    Args:
        name: as the tables show it.
        note: what it checks and what it doesn't, for the reader who wants to know whether the work is equal.
        construct: makes the event of plain values, with a fresh id and time.
        encode: the event as JSON, in UTF-8.
        decode: the event of such bytes.
        facts: what the event says.
        own_envelope: whether it writes another envelope than the rest, so that the rest can't read it.
    """

    name: str
    note: str
    construct: Callable[[], Any]  # Any: each contender has events of its own class
    encode: Callable[[Any], bytes]  # as above
    decode: Callable[[bytes], Any]  # as above
    facts: Callable[[Any], Facts]  # as above
    own_envelope: bool = False


OURS: Final = "domainkit"
BY_HAND: Final = "by hand"
PYDANTIC: Final = "pydantic"
PETISCO: Final = "petisco"

MODULES: Final[Sequence[str]] = (
    "with_domainkit",
    "by_hand",
    "without_library",
    "with_msgspec",
    "with_pydantic",
    "with_petisco",
    "with_eventsourcing",
    "with_protean",
)


def contender(module: str) -> Contender:
    """Return the contender of a module; ImportError where its library isn't installed."""
    found: Contender = import_module(f"benchmarks.contenders.{module}").CONTENDER
    return found


def installed() -> tuple[dict[str, Contender], list[str]]:
    """Return the contenders that can run here by name, and why the others can't."""
    found, left_out = {}, []
    for module in MODULES:
        try:
            one = contender(module)
        except ImportError as error:
            left_out.append(f"{module.removeprefix('with_')} is left out: {error}")
        else:
            found[one.name] = one
    return found, left_out

"""Construct, encode and decode; the size of a message, and the memory that a decoded one holds."""

import gc
import tracemalloc
from collections.abc import Callable, Mapping
from typing import Final

from benchmarks.contenders import BY_HAND, OURS, PETISCO, PYDANTIC, Contender
from benchmarks.effort import Effort
from benchmarks.measuring import Batch, Rounds, Spread, calls, interleave, ratio
from benchmarks.results import Bar, Comparison, Figure, Findings, Sense

OPERATIONS: Final = ("construct", "encode", "decode")

_TIMES_FASTER: Final[Mapping[tuple[str, str], Bar]] = {
    ("encode", PYDANTIC): Bar(Sense.AT_LEAST, 2, 3),
    ("decode", PYDANTIC): Bar(Sense.AT_LEAST, 1, 1.5),
    ("encode", PETISCO): Bar(Sense.AT_LEAST, 5, 8),
    ("decode", PETISCO): Bar(Sense.AT_LEAST, 15, 30),
    ("construct", PETISCO): Bar(Sense.AT_LEAST, 10, 20),
}
_WITHIN: Final = Bar(Sense.AT_MOST, 1.3, 1.1)
_MEMORY: Final = Bar(Sense.AT_MOST, 0.5)


def measure(contenders: Mapping[str, Contender], effort: Effort) -> Findings:
    """Return what each contender takes, and how domainkit stands against it."""
    batches = {
        f"{operation} {name}": batch for name, one in contenders.items() for operation, batch in _batches(one).items()
    }
    rounds = interleave(batches, rounds=effort.rounds, seconds=effort.seconds)
    found = sum((_findings(operation, contenders, rounds) for operation in OPERATIONS), Findings())
    notes = tuple(f"{one.name}: {one.note}." for one in contenders.values())
    return found + _sizes(contenders) + _memory(contenders) + Findings(notes=notes)


def _batches(one: Contender) -> dict[str, Batch]:
    event = one.construct()
    raw = one.encode(event)
    return {"construct": calls(one.construct), "encode": calls(one.encode, event), "decode": calls(one.decode, raw)}


def _findings(operation: str, contenders: Mapping[str, Contender], rounds: Rounds) -> Findings:
    times = {name: rounds[f"{operation} {name}"] for name in contenders}
    figures = tuple(
        Figure(operation, name, "us", Spread.of([taken * 1e6 for taken in seconds])) for name, seconds in times.items()
    )
    ours = times[OURS]
    comparisons = []
    for name, theirs in times.items():
        if name == BY_HAND and operation != "construct":
            comparisons.append(Comparison(f"{operation}: time against {name}", "x", ratio(ours, theirs), _WITHIN))
        elif name not in (OURS, BY_HAND):
            bar = _TIMES_FASTER.get((operation, name))
            comparisons.append(Comparison(f"{operation}: faster than {name}", "x", ratio(theirs, ours), bar))
    return Findings(figures, tuple(comparisons))


def _sizes(contenders: Mapping[str, Contender]) -> Findings:
    sizes = {name: float(len(one.encode(one.construct()))) for name, one in contenders.items()}
    return Findings(tuple(Figure("size", name, "bytes", Spread.of([size])) for name, size in sizes.items()))


def _memory(contenders: Mapping[str, Contender]) -> Findings:
    decoded = {name: memory_held(_decoding(one)) for name, one in contenders.items()}
    made = {name: memory_held(one.construct) for name, one in contenders.items()}
    figures = tuple(
        Figure(group, name, "bytes", Spread.of([size]))
        for group, sizes in (("memory", decoded), ("memory made", made))
        for name, size in sizes.items()
    )
    if PETISCO not in decoded:
        return Findings(figures)
    ours = [decoded[OURS]]
    return Findings(
        figures,
        (
            Comparison(
                f"memory, decoded: against {PETISCO}, with value objects", "x", ratio(ours, [made[PETISCO]]), _MEMORY
            ),
            Comparison(
                f"memory, decoded: against {PETISCO}, decoded to raw JSON",
                "x",
                ratio(ours, [decoded[PETISCO]]),
                _MEMORY,
            ),
        ),
    )


def _decoding(one: Contender) -> Callable[[], object]:
    raw = one.encode(one.construct())
    return lambda: one.decode(raw)


def memory_held(make: Callable[[], object], events: int = 500) -> float:
    """Return the bytes that an event holds: what Python has allocated for many, through their number."""
    make()  # what is kept once for all events isn't counted
    kept: list[object] = [None] * events
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for place in range(events):
            kept[place] = make()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return (after - before) / events

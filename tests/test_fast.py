"""The C part by itself: what it refuses, and that it neither keeps nor loses a reference, whatever happens.

That it does what Python does, test_slots.py finds out.
"""

import gc
import subprocess
import sys
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import Any

import pytest
from fast_parts import (
    CALLS,
    REFUSED,
    VALUE,
    WATCHED,
    Box,
    Call,
    Maker,
    Point,
    X,
    Y,
    construct,
    init,
    is_short,
    joined,
    make_point,
    taker,
)


@pytest.mark.parametrize("what", REFUSED)
def test_it_is_made_of_what_it_needs_alone(what: str) -> None:
    """A wrong argument is refused when the part is made, so that no call need look again; the text says which."""
    make, text = REFUSED[what]
    with pytest.raises(TypeError, match=text):
        make()


@pytest.mark.parametrize("what", CALLS)
def test_what_a_call_gives(what: str) -> None:
    """A result or an error; what is no Exception goes through, wherever it comes from."""
    call, expected = CALLS[what]
    if isinstance(expected, type) and issubclass(expected, BaseException):
        with pytest.raises(expected):
            call()
    else:
        assert expected == call()


def often(call: Call, times: int) -> None:
    """Call it so many times, whatever it raises."""
    for _ in range(times):
        try:
            call()
        except BaseException:  # KeyboardInterrupt as well: it is made here
            continue


def references() -> list[int]:
    """Return how often each object is referred to."""
    gc.collect()
    return [sys.getrefcount(one) for one in WATCHED]


@pytest.fixture
def frozen_heap() -> Iterator[None]:
    """Let the collector look at new objects alone: all those of a test run take it a quarter of a second each time."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("frozen_heap")
@pytest.mark.parametrize("what", [*CALLS, *REFUSED])
def test_no_reference_is_kept_or_lost(what: str) -> None:
    """After a thousand calls each object is referred to as often as before, and no more memory is in use."""
    call = {**CALLS, **REFUSED}[what][0]
    often(call, 20)
    before, blocks = references(), sys.getallocatedblocks()
    often(call, 1_000)
    assert before == references()
    assert sys.getallocatedblocks() - blocks < 200


@pytest.mark.parametrize(
    ("part", "holds"),
    [
        (make_point, [Maker, Point, (X, Y)]),
        (construct, [Maker, Box, (VALUE,), str, is_short, init]),
        (taker(), [Maker, Point, (X, Y), (str, str), (None, None), joined, VALUE]),
    ],
)
def test_the_collector_sees_all_that_a_maker_holds(part: object, holds: list[object]) -> None:
    """Else a cycle through it would never be collected."""
    assert holds == gc.get_referents(part)


def cycle_of(*, constructor: bool) -> weakref.ref[Any]:  # Any: the class is known here alone
    """Make a class with a Maker that holds it in turn; return a reference that doesn't keep it."""

    class Local:
        __slots__ = ("value",)

    def function(*_: object) -> object:
        return Local

    slots = (Local.__dict__["value"],)
    Local.part = Maker(Local, slots, Local, function, function) if constructor else Maker(Local, slots)  # type: ignore[attr-defined]  # the cycle
    return weakref.ref(Local)


@pytest.mark.parametrize("constructor", [False, True])
def test_a_cycle_is_collected(constructor: bool) -> None:  # pytest passes it by name
    """A class that is defined in a function goes when nothing else refers to it."""
    found = cycle_of(constructor=constructor)
    gc.collect()
    assert found() is None


def loaded() -> ModuleType:
    """Return the module anew, beside the one that is in use."""
    spec = spec_from_file_location("domainkit._fast", sys.modules["domainkit._fast"].__file__)
    assert spec is not None
    assert spec.loader is not None
    made = module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_a_module_goes_with_all_that_it_made() -> None:
    """It keeps nothing for the whole process: each interpreter has its own, and may end before the others."""
    module = loaded()
    kept: list[weakref.ref[Any]] = [weakref.ref(module)]  # Any: a module and classes
    kept += [weakref.ref(one) for one in vars(module).values() if isinstance(one, type)]
    assert 2 == len(kept)
    assert module.Maker is not Maker
    del module
    gc.collect()
    assert [None] * 2 == [one() for one in kept]


@pytest.fixture
def hasty() -> Iterator[None]:
    """Let threads take turns as often as can be."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("hasty")
def test_threads_share_parts() -> None:
    """Each gets its own result, whatever the others do."""

    def work(number: int) -> bool:
        text, own = str(number), Box("")
        construct(own, text)
        made = make_point(own, number)
        return (made.x.value, made.y) == (text, number)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, list(range(100)) * 20))


IN_ANOTHER = """
try:
    import _interpreters as interpreters
except ImportError:  # before Python 3.13
    import _xxsubinterpreters as interpreters
import sys

CODE = '''
from importlib.util import module_from_spec, spec_from_file_location

spec = spec_from_file_location("domainkit._fast", {path!r})
fast = module_from_spec(spec)
spec.loader.exec_module(fast)

class Point:
    __slots__ = ("x",)

print(fast.Maker(Point, (Point.x,))(5).x, flush=True)
'''
for _ in range(3):
    one = interpreters.create()
    interpreters.run_string(one, CODE.format(path=sys.argv[1]))
    interpreters.destroy(one)
"""


def test_other_interpreters_import_it() -> None:
    """One process may have several; from Python 3.12 on each with a lock of its own, which the module must allow."""
    command = [sys.executable, "-c", IN_ANOTHER, sys.modules["domainkit._fast"].__file__ or ""]
    assert "5\n5\n5\n" == subprocess.run(command, capture_output=True, check=True, text=True).stdout

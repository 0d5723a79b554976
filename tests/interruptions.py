"""Interrupts at any moment, as the handler of a signal may raise them."""

import sys
from collections.abc import Callable, Collection, Iterator
from types import FrameType


class Interrupt(BaseException):
    """Raised by a signal's handler, as KeyboardInterrupt is."""


class _Interrupting:
    """Raises Interrupt at the moment of a number; see sys.setprofile for its arguments."""

    def __init__(self, number: int, files: Collection[str | None], events: Collection[str]) -> None:
        self.left, self._files, self._events = number, frozenset(files), events

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        """Count the moments down to the one of the number."""
        caller = frame.f_back
        files = {frame.f_code.co_filename, "" if caller is None else caller.f_code.co_filename}
        if event in self._events and not files.isdisjoint(self._files):
            self.left -= 1
            if self.left == 0:
                raise Interrupt


def interrupted(work: Callable[[], object], files: Collection[str | None], events: Collection[str]) -> Iterator[None]:
    """Interrupt work at its first moment, its second, and so on, until it ends by itself; yield after each attempt.

    A moment is where CPython may run a signal's handler, in some files and where they call others.

    Args:
        work: what is interrupted.
        files: the files whose functions count.
        events: the events of sys.setprofile that count, such as `call`, and `c_return` of a function written in C.
    """
    tracer, before, done = _Interrupting(0, files, events), sys.getprofile(), 0
    while tracer.left <= 0:
        done += 1
        tracer = _Interrupting(done, files, events)
        try:
            sys.setprofile(tracer)
            work()
        except Interrupt:
            pass
        finally:
            sys.setprofile(before)
        yield

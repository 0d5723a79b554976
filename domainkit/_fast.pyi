from collections.abc import Callable
from typing import Generic, Self, TypeVar

from domainkit._speedups.slots import Check, Field, Init, Slot

_T = TypeVar("_T")

class Maker(Generic[_T]):
    def __new__(cls, made: type[_T], slots: tuple[Slot, ...], /) -> Self: ...
    def __call__(self, *values: object) -> _T: ...

class Constructor:
    def __new__(cls, exact: type, slot: Slot, rule: Check | None, function: Init, /) -> Self: ...
    def __call__(self, *args: object, **kwargs: object) -> None: ...

class Filler:
    def __new__(cls, slots: tuple[Slot, ...], /) -> Self: ...
    def __call__(self, filled: object, /, *values: object) -> None: ...

class Dumper(Generic[_T]):
    def __new__(
        cls,
        dumped: type,
        make: Callable[..., _T],
        fields: tuple[Field, ...],
        value: Slot,
        refused: type[Exception],
        /,
    ) -> Self: ...
    def __call__(self, value: object, /) -> _T: ...

class Writer:
    def __new__(
        cls,
        dump: Callable[..., object],
        encode: Callable[[object], bytes],
        slots: tuple[object, ...],
        pieces: tuple[bytes, ...],
        function: Callable[..., bytes],
        /,
    ) -> Self: ...
    def __call__(self, message: object, /) -> bytes: ...

def scanned(data: bytes, /) -> tuple[int, int]: ...

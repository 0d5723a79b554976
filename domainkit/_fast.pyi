from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, final, overload

from domainkit._speedups.slots import Check, Field, Init, Slot

_T = TypeVar("_T")

@final
class Maker(Generic[_T]):
    @overload
    def __new__(cls, made: type[_T], slots: tuple[Slot, ...], /) -> Maker[_T]: ...
    @overload
    def __new__(
        cls, made: type, slots: tuple[Slot], exact: type, rule: Check | None, function: Init, /
    ) -> Maker[None]: ...
    def __call__(self, /, *args: Any, **kwargs: Any) -> _T: ...
    def __get__(self, instance: object, owner: type | None = None, /) -> Any: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
    @property
    def __name__(self) -> str: ...
    @property
    def __qualname__(self) -> str: ...
    @property
    def __annotations__(self) -> dict[str, Any]: ...  # type: ignore[override]
    @property
    def __wrapped__(self) -> Init: ...

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

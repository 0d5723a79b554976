from collections.abc import Callable
from typing import Any, Generic, TypeVar, final, overload

from domainkit._speedups.slots import Check, Init, Slot

_T = TypeVar("_T")

@final
class Maker(Generic[_T]):
    @overload
    def __new__(cls, made: type[_T], slots: tuple[Slot, ...], /) -> Maker[_T]: ...
    @overload
    def __new__(
        cls, made: type, slots: tuple[Slot], exact: type, rule: Check | None, function: Init, /
    ) -> Maker[None]: ...
    @overload
    def __new__(
        cls,
        taken: type,
        slots: tuple[Slot, ...],
        classes: tuple[type, ...],
        rules: tuple[Check | bool | None, ...],
        function: Callable[..., _T],
        value: Slot,
        /,
    ) -> Maker[_T]: ...
    def __call__(self, /, *args: Any, **kwargs: Any) -> _T: ...
    def __get__(self, instance: object, owner: type | None = None, /) -> Any: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
    @property
    def __name__(self) -> str: ...
    @property
    def __qualname__(self) -> str: ...
    @property
    def __annotations__(self) -> dict[str, Any]: ...  # type: ignore[override]  # read-only, unlike that of object
    @property
    def __wrapped__(self) -> Init: ...

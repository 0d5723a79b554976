"""Base of classes that get their dependencies injected: use cases, services and ports."""

from domainkit._model.annotations import own_annotations
from domainkit._model.habits import refuse_habits
from domainkit._model.immutability import undecorated_error


class Service:
    """Base of use cases, services and ports. It has no methods to call: subclassing it adds the checks."""

    __slots__ = ()

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        refuse_habits(cls)


def _init(self: Service, *args: object, **kwargs: object) -> None:
    """Refuse fields that no constructor sets. A constructor of the class, or of a decorator, overrides this one."""
    cls = type(self)
    if cls.__init__ is _init:
        _refuse_unset(cls)
    further = super(Service, self).__init__
    if (args or kwargs) and super(Service, cls).__init__ is object.__init__:
        raise TypeError(f"{cls.__qualname__}() takes no arguments")  # the text of Python's own error
    further(*args, **kwargs)


def _refuse_unset(cls: type) -> None:
    for base in cls.__mro__:
        for name in own_annotations(base):
            if not hasattr(cls, name):
                raise undecorated_error(base, name)


type.__setattr__(Service, "__init__", _init)  # set here, so that type checkers see object's own `__init__`

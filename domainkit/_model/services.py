"""The base of what is given what it works with: use cases, services, and the ports that adapters derive from."""

from domainkit._model.annotations import own_annotations
from domainkit._model.habits import refuse_habits
from domainkit._model.immutability import undecorated_error


class Service:
    """The base of use cases, services and ports. Nothing to call: subclassing it brings the checks."""

    __slots__ = ()

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        refuse_habits(cls)


def _init(self: Service, *args: object, **kwargs: object) -> None:
    """Refuse fields that no constructor sets: that of a decorator, or of the class itself, hides this."""
    cls = type(self)
    if cls.__init__ is _init:
        _refuse_unset(cls)
    further = super(Service, self).__init__
    if (args or kwargs) and super(Service, cls).__init__ is object.__init__:
        raise TypeError(f"{cls.__qualname__}() takes no arguments")  # as Python says it
    further(*args, **kwargs)


def _refuse_unset(cls: type) -> None:
    for base in cls.__mro__:
        for name in own_annotations(base):
            if not hasattr(cls, name):
                raise undecorated_error(base, name)


type.__setattr__(Service, "__init__", _init)  # set here, so that type checkers see that of object

"""Source code of generated functions: their lines, and the objects that the lines refer to by name."""

import linecache
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

Function = Callable[..., Any]  # Any: from a wire value to an object or back; the types are only known at run time

MOST_NAMES = 200
"""The number of names from which on a function calls the functions of nested classes rather than inline them."""


class Code:
    """The lines of one function to generate.

    >>> code = Code()
    >>> with code.block(f"if type(value) is not {code.name(int, 'int')}:"):
    ...     code.add("raise ValueError")
    >>> code.add("return value + 1")
    >>> following = code.function("following", "value", about="int")
    >>> following(1)
    2

    The source of a function is in `linecache`, so that tracebacks and debuggers show it:

    >>> import inspect
    >>> print(inspect.getsource(following))
    def following(value):
        if type(value) is not int_0:
            raise ValueError
        return value + 1
    <BLANKLINE>
    """

    def __init__(self) -> None:
        self.names: dict[str, object] = {}
        self._lines: list[str] = []
        self._indent = "    "

    @property
    def crowded(self) -> bool:
        """True if the function has so many names that it should call other functions rather than inline them."""
        return len(self.names) >= MOST_NAMES

    def name(self, value: object, stem: str) -> str:
        """Return a new name, which refers to `value` in the function."""
        name = f"{stem}_{len(self.names)}"
        self.names[name] = value
        return name

    def variable(self, stem: str) -> str:
        """Return a name for a variable that nothing else in the function has."""
        return self.name(None, stem)

    def add(self, *lines: str) -> None:
        """Append lines at the current indentation."""
        self._lines += [self._indent + line for line in lines]

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Append `head`, and indent what is added inside the context; add `pass` if nothing is."""
        self.add(head)
        outer, before = self._indent, len(self._lines)
        self._indent += "    "
        yield
        if len(self._lines) == before:
            self.add("pass")
        self._indent = outer

    def function(self, name: str, parameters: str, *, about: str) -> Function:
        """Compile the lines into a function; `about` describes it in the name of its file."""
        text = "\n".join([f"def {name}({parameters}):", *self._lines, ""])
        stem = f"<domainkit {name} {about}"
        file = next(one for one in (f"{stem} {number}>" for number in count(1)) if one not in linecache.cache)
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        exec(compile(text, file, "exec"), self.names)  # noqa: S102  # source of our own, as in attrs and dataclasses
        made: Function = self.names[name]  # type: ignore[assignment]  # the function that the source defines
        return made

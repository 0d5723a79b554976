"""The part of the package that is in C: shortcuts, which an installation without a compiler goes without.

With DOMAINKIT_COMPILE=always a build fails where it can't compile them. With DOMAINKIT_COMPILE=never it doesn't try,
and the wheel is for every machine.
"""

import os
import platform

from setuptools import Extension, setup

SOURCE = "domainkit/_speedups/fast.c"


def is_wanted(compiling: str) -> bool:
    """Tell whether to compile: unasked only on CPython, whose own interface the C files use."""
    if compiling not in {"", "always", "never"}:
        raise SystemExit(f"DOMAINKIT_COMPILE is {compiling!r}: write always or never, or leave it out")
    return compiling == "always" or (not compiling and platform.python_implementation() == "CPython")


wish = os.environ.get("DOMAINKIT_COMPILE", "")
setup(ext_modules=[Extension("domainkit._fast", [SOURCE], optional=wish != "always")] if is_wanted(wish) else [])

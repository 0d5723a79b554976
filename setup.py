"""The part of the package that is in C: shortcuts, which an installation without a compiler goes without."""

from pathlib import Path

from setuptools import Extension, setup

SOURCES = Path("domainkit/_compiled")

setup(
    ext_modules=[
        Extension(
            "domainkit._fast",
            sorted(path.as_posix() for path in SOURCES.glob("*.c")),
            depends=[(SOURCES / "fast.h").as_posix()],
            optional=True,
        )
    ]
)

"""Common parts of the commands: their errors, and arguments for objects, times and ids."""

import argparse
import re
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from domainkit.errors import InvalidUuid
from domainkit.values import Uuid

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
"""The group of an argument parser to which commands are added."""


BROKER, DATABASE = "DOMAINKIT_BROKER_URL", "DOMAINKIT_DATABASE_URL"
"""The environment variables for URLs, whose passwords other users could read on a command line."""


class WrongArgumentError(Exception):
    """An argument is not usable; the text has the reason, and the exit status is 2."""


class CommandFailedError(Exception):
    """A command failed; the text has the reason, and the exit status is 1."""


def object_named(path: str) -> Any:  # Any: the caller checks it
    """Return the object named by MODULE:NAME; modules are also searched in the working directory.

    Raises:
        WrongArgumentError: the module or the name is missing.
    """
    module, _, name = path.partition(":")
    sys.path.insert(0, str(Path.cwd()))  # find an application in the working directory, like `python -m`
    try:
        return getattr(import_module(module), name)
    except (ImportError, ValueError) as error:
        raise WrongArgumentError(f"{path}: no module {module!r} ({error}); expected MODULE:NAME") from error
    except AttributeError as error:
        raise WrongArgumentError(f"{path}: the module {module} has no {name!r}; expected MODULE:NAME") from error
    finally:
        sys.path.pop(0)


_UNITS = MappingProxyType({"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400})


def duration(text: str) -> timedelta:
    """Return a time span, for argparse.

    >>> duration("90"), duration("1.5h")
    (datetime.timedelta(seconds=90), datetime.timedelta(seconds=5400))

    Args:
        text: seconds, or a number with the unit s, m, h or d.

    Raises:
        argparse.ArgumentTypeError: `text` is something else, or 0.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if found is None or float(found[1]) == 0:
        raise argparse.ArgumentTypeError(f"expected seconds above 0, or a number with s, m, h or d, got {text!r}")
    try:
        return timedelta(seconds=float(found[1]) * _UNITS[found[2]])
    except OverflowError:
        raise argparse.ArgumentTypeError(f"expected a shorter time, got {text!r}") from None


def count(text: str) -> int:
    """Return a whole number of 1 or more, for argparse.

    Raises:
        argparse.ArgumentTypeError: `text` is something else.
    """
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return int(text)


def moment(text: str) -> datetime:
    """Return a time with a time zone, for argparse.

    >>> moment("2026-03-01T12:00:00+01:00").isoformat()
    '2026-03-01T12:00:00+01:00'

    Args:
        text: a time as in RFC 3339; or a span before now, such as `2h`.

    Raises:
        argparse.ArgumentTypeError: `text` is something else, or has no time zone.
    """
    with suppress(argparse.ArgumentTypeError, OverflowError):
        return datetime.now(UTC) - duration(text)
    with suppress(ValueError):
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None:
            return found
    raise argparse.ArgumentTypeError(f"expected a time with a zone (2026-03-01T12:00:00Z) or ago (2h), got {text!r}")


def message_id(text: str) -> Uuid:
    """Return the id of a message, for argparse.

    Raises:
        argparse.ArgumentTypeError: `text` is something else.
    """
    try:
        return Uuid.from_value(text)
    except InvalidUuid:
        raise argparse.ArgumentTypeError(f"expected the id of a message, a UUID, got {text!r}") from None

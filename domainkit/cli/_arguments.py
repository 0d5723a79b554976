"""The common part of the commands: their errors, and arguments that name objects, times and ids."""

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
"""The group of an argument parser that commands are added to."""


BROKER, DATABASE = "DOMAINKIT_BROKER_URL", "DOMAINKIT_DATABASE_URL"
"""The variables of the environment with URLs: on a command line others would see their passwords."""


class WrongArgumentError(Exception):
    """An argument that can't be used; the text says why, and the exit status is 2."""


class CommandFailedError(Exception):
    """A command that could not do what it should; the text says why, and the exit status is 1."""


def object_named(path: str) -> Any:  # Any: what it is shows when it is used
    """Return the object that MODULE:NAME names; modules are looked for where the command was started, too.

    Raises:
        WrongArgumentError: there is none.
    """
    module, _, name = path.partition(":")
    sys.path.insert(0, str(Path.cwd()))  # so that an application is found where it stands, as `python -m` finds it
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
        argparse.ArgumentTypeError: it is something else, or nothing.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if found is None or float(found[1]) == 0:
        raise argparse.ArgumentTypeError(f"expected seconds above 0, or a number with s, m, h or d, not {text!r}")
    try:
        return timedelta(seconds=float(found[1]) * _UNITS[found[2]])
    except OverflowError:
        raise argparse.ArgumentTypeError(f"{text!r} is too long") from None


def count(text: str) -> int:
    """Return a number of things, 1 or more, for argparse.

    Raises:
        argparse.ArgumentTypeError: it is something else.
    """
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, not {text!r}")
    return int(text)


def moment(text: str) -> datetime:
    """Return a time with its zone, for argparse.

    >>> moment("2026-03-01T12:00:00+01:00").isoformat()
    '2026-03-01T12:00:00+01:00'

    Args:
        text: as in RFC 3339; or a span, such as `2h`, before now.

    Raises:
        argparse.ArgumentTypeError: it is something else, or has no time zone.
    """
    with suppress(argparse.ArgumentTypeError, OverflowError):
        return datetime.now(UTC) - duration(text)
    with suppress(ValueError):
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None:
            return found
    raise argparse.ArgumentTypeError(f"expected a time with a zone (2026-03-01T12:00:00Z) or ago (2h), not {text!r}")


def message_id(text: str) -> Uuid:
    """Return the id of a message, for argparse.

    Raises:
        argparse.ArgumentTypeError: it is something else.
    """
    try:
        return Uuid.from_value(text)
    except InvalidUuid:
        raise argparse.ArgumentTypeError(f"expected the id of a message, a UUID, not {text!r}") from None

"""Times as text: read to the microsecond and no further, with no digit rounded away."""

import re
from collections.abc import Callable
from datetime import datetime, time, timedelta, timezone
from typing import Annotated

import msgspec


def whole_minutes(moment: datetime | time) -> bool:
    """Tell whether the offset from UTC is one that RFC 3339 can write."""
    offset = moment.utcoffset()
    return offset is not None and offset.seconds % 60 == 0 and offset.microseconds == 0


QUARTERS = frozenset(timezone(timedelta(minutes=minutes)) for minutes in range(-12 * 60, 14 * 60 + 1, 15))
"""The offsets of today's time zones: to look one up takes a fifth of the time that it takes to ask and calculate."""

_LONGER = re.compile(r"\.[0-9]{6}0*[1-9]", re.ASCII)
_SECONDS = re.compile(r"\.[0-9]{1,6}0*[Ss]", re.ASCII)


def _refuse_inexact(text: str) -> None:
    if _LONGER.search(text) or "\\" in text:
        raise ValueError("a fraction of a second has six digits at most, and no time has a backslash")


_AFTER_SIX_DIGITS = "Zz+-"  # or nothing, which is in any text
decode_moment: Callable[[str], datetime] = msgspec.json.Decoder(datetime).decode
"""Reads a datetime in quotes. It is made once: `msgspec.convert` takes three times as long, and test libraries that set
the clock put another class in the place of `datetime`.

A quote in the text ends what is read too early; a backslash is for the caller to find, since it would be an escape.
"""
_decode_aware: Callable[[str], datetime] = msgspec.json.Decoder(Annotated[datetime, msgspec.Meta(tz=True)]).decode


def load_moment(text: str) -> datetime:
    """Return the datetime that is written as `text` (RFC 3339, the offset may be absent).

    Raises ValueError or DecodeError where it is none, or one finer than a microsecond.
    """
    if text[26:27] not in _AFTER_SIX_DIGITS or "\\" in text:
        _refuse_inexact(text)
    return decode_moment(f'"{text}"')


def load_datetime(text: str) -> datetime:
    """Return the datetime that is written as `text` (RFC 3339, with an offset).

    Raises ValueError or DecodeError where it is none, or one finer than a microsecond.
    """
    if text[26:27] not in _AFTER_SIX_DIGITS or "\\" in text:
        _refuse_inexact(text)
    return _decode_aware(f'"{text}"')


def load_time(text: str) -> time:
    """Return the time that is written as `text` (RFC 3339); ValueError for anything else."""
    if text[15:16].isdigit():
        _refuse_inexact(text)
    return msgspec.convert(text, time)


def load_timedelta(text: str) -> timedelta:
    """Return the duration that is written as `text` (ISO 8601: days, hours, minutes, seconds); ValueError otherwise."""
    if "." in text and not _SECONDS.search(text):
        raise ValueError("seconds alone have a fraction, of six digits at most")
    return msgspec.convert(text, timedelta)

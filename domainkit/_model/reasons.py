"""Reason of an error that is safe to show: a text that repeats part of a value may repeat a secret."""

import re
from collections.abc import Iterator, Mapping

import attrs

_LEAK_LENGTH = 6
"""A text with this many characters of a value in a row leaks it; a shorter value leaks only as a whole."""
_OTHER_THAN_LETTERS = re.compile(r"[\W_]+")
_OTHER_IN_ASCII = bytes(code for code in range(128) if not chr(code).isalnum())
_SCALARS = frozenset({str, int, float, bytes})
_LONGEST_REASON = 500
_LONGEST_COMPARED = 65_536


def reason_of(error: Exception, *values: object) -> str | None:
    r"""Return the text of an error, cut after 500 characters; None if it repeats part of one of the values.

    >>> reason_of(ValueError("a title has no line end"), "two\nlines")
    'a title has no line end'
    >>> reason_of(ValueError("Buy milk! is not a title"), "Buy milk!") is None
    True

    The text of a domain error is its `message`; an error without a text gives the name of its class. The value that
    validators of attrs append to their texts is removed.

    Args:
        error: raised by a validator, converter or constructor.
        values: all values that it may have seen.
    """
    try:
        message = (getattr(error, "additional_info", None) or {}).get("message")  # of a DomainError
        if message is None and not hasattr(error, "additional_info"):
            message = next(iter(error.args), None)
        text = type(error).__qualname__ if message is None else str(message)
        for value in values:
            for tail in (
                f": {value}",
                f" ({value!r} doesn't)",
                f" (got {value!r})",
            ):  # as attrs appends it
                text = text.removesuffix(tail)
        return None if repeats(text[: _LONGEST_REASON + _LEAK_LENGTH], *values) else text[:_LONGEST_REASON]
    except Exception:  # raised for a value that can't be written as text, such as an int of 5,000 digits
        return None


def repeated_by(error: Exception, *values: object) -> bool:
    """Check if an error of the domain repeats a part of a value: in its text, a field, or another attribute."""
    contents = [*error.args, *vars(error).values(), *_fields_of(error)]
    try:
        return any(repeats(str(part), *values) for part in _parts(contents))
    except Exception:  # a part that can't be written as text counts as a repetition
        return True


def repeats(text: str, *values: object) -> bool:
    """Check if the text repeats six characters of a value (or a shorter one), escaped or in another case too.

    The contents of value objects, other attrs classes and collections are compared, not their class names.
    """
    text, seen, compared = text.casefold(), 0, set()
    text_letters = _letters(text)
    for value in values:
        for part in _parts(value):
            secret = str(part).casefold()
            seen += len(secret)
            if seen > _LONGEST_COMPARED:
                return True
            forms = _forms(part, secret)
            if forms not in compared and _contains_any(text, text_letters, forms):
                return True
            compared.add(forms)  # a constructor has seen a value as it was given and as it was kept: twice the same
    return False


def _contains_any(text: str, text_letters: str, forms: tuple[str, ...]) -> bool:
    """Check if a text repeats a part in one of its forms, or the letters of it."""
    for form in forms:
        if _contains(text, form):
            return True
    letters = _letters(forms[0])
    return len(letters) >= _LEAK_LENGTH and _contains(text_letters, letters)


def _letters(text: str) -> str:
    """Return a text without punctuation and spaces: a leak may group digits or space letters out."""
    if text.isascii():  # a quarter of the time
        return text.encode().translate(None, _OTHER_IN_ASCII).decode()
    return _OTHER_THAN_LETTERS.sub("", text)


def _forms(part: object, secret: str) -> tuple[str, ...]:
    """Return the texts of a part: its own; of a text the escaped one too, or alone if it includes the other."""
    if not isinstance(part, str):
        return (secret,)
    escaped = repr(part).casefold()
    return (escaped,) if len(secret) > _LEAK_LENGTH and secret in escaped else (secret, escaped)


def _parts(value: object) -> Iterator[object]:
    """Yield the scalars in a value; without bool and None, which reveal nothing."""
    if type(value) in _SCALARS:
        yield value
        return
    if isinstance(value, Mapping):
        inner: Iterator[object] = (part for item in value.items() for part in item)
    elif isinstance(value, list | tuple | set | frozenset):
        inner = iter(value)
    elif attrs.has(type(value)):
        inner = _fields_of(value)
    else:
        if value is not None and not isinstance(value, bool):
            yield value
        return
    for item in inner:
        yield from _parts(item)


def _fields_of(value: object) -> Iterator[object]:
    """Yield the values of the fields of an attrs object."""
    cls = type(value)
    yield from (getattr(value, field.name, None) for field in (attrs.fields(cls) if attrs.has(cls) else ()))


def _contains(text: str, secret: str) -> bool:
    if len(secret) <= _LEAK_LENGTH:
        return len(secret) > 1 and secret in text
    # a part of one in the other: the shorter one has fewer
    short, long = (text, secret) if len(text) < len(secret) else (secret, text)
    for start in range(0, len(short) - 3, 3):  # any six in a row include four that begin at a multiple of three
        if short[start : start + 4] in long:
            return any(short[at : at + _LEAK_LENGTH] in long for at in range(len(short) - _LEAK_LENGTH + 1))
    return False

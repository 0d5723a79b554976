"""The reason of an error, as far as a reader may see it: a text that repeats a part of a value may repeat a secret."""

import re
from collections.abc import Iterator, Mapping

import attrs

_LEAK = 6
"""So many characters of a value in a row are a part of it; a shorter value counts as a whole."""
_SIGNS = re.compile(r"[\W_]+")
_WHOLE = frozenset({str, int, float, bytes})
_LONGEST_REASON = 500
_LONGEST_COMPARED = 65_536


def reason_of(error: Exception, *values: object) -> str | None:
    r"""Return what an error says, cut after 500 characters; None if that repeats a part of one of the values.

    >>> reason_of(ValueError("a title has no line end"), "two\nlines")
    'a title has no line end'
    >>> reason_of(ValueError("Buy milk! is no title"), "Buy milk!") is None
    True

    An error of the domain says its `message`; an error without a text says the name of its class. The value that the
    validators of attrs put at the end of their texts is left out.

    Args:
        error: what a validator, converter or constructor raised.
        values: all that it may have seen.
    """
    try:
        said = (getattr(error, "additional_info", None) or {}).get("message")  # of a DomainError
        if said is None and not hasattr(error, "additional_info"):
            said = next(iter(error.args), None)
        text = type(error).__qualname__ if said is None else str(said)
        for value in values:
            for tail in (f": {value}", f" ({value!r} doesn't)", f" (got {value!r})"):  # as the validators of attrs do
                text = text.removesuffix(tail)
        return None if repeats(text[: _LONGEST_REASON + _LEAK], *values) else text[:_LONGEST_REASON]
    except Exception:  # a value that can't be written as text, such as an int of 5,000 digits
        return None


def repeated_by(error: Exception, *values: object) -> bool:
    """Check if an error of the domain repeats a part of a value: in its text, in a field, or beside them."""
    held = [*error.args, *vars(error).values(), *_fields_of(error)]
    try:
        return any(repeats(str(part), *values) for part in _parts(held))
    except Exception:  # what can't be written as text isn't looked at
        return True


def repeats(text: str, *values: object) -> bool:
    """Check if the text repeats six characters of a value (or a shorter one), escaped or in another case too.

    What value objects, other attrs classes and collections hold is compared, and not their own names.
    """
    text, seen = text.casefold(), 0
    for value in values:
        for part in _parts(value):
            secret = str(part).casefold()
            letters = _letters(secret)
            seen += len(secret)
            if (
                seen > _LONGEST_COMPARED
                or _contains(text, secret)
                or (isinstance(part, str) and _contains(text, repr(part).casefold()))
                or (len(letters) >= _LEAK and _contains(_letters(text), letters))
            ):
                return True
    return False


def _parts(value: object) -> Iterator[object]:
    """Yield what a value is made of; no bool and no None, which everybody knows."""
    if type(value) in _WHOLE:
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
    """Yield what the fields of an attrs object hold."""
    cls = type(value)
    yield from (getattr(value, field.name, None) for field in (attrs.fields(cls) if attrs.has(cls) else ()))


def _letters(text: str) -> str:
    """Return the text without signs: digits may be grouped, and letters set apart."""
    return _SIGNS.sub("", text)


def _contains(text: str, secret: str) -> bool:
    if len(secret) <= _LEAK:
        return len(secret) > 1 and secret in text
    return any(text[start : start + _LEAK] in secret for start in range(len(text) - _LEAK + 1))

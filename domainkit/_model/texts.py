"""Texts from outside, as they may be shown."""


def shown(text: str) -> str:
    r"""Return a text for a log or a terminal: what a terminal would obey, or hides, is written as an escape.

    >>> shown("buy milk"), shown("milk\x1b[2J\n2026-01-01 INFO paid\u202e")
    ('buy milk', 'milk\\x1b[2J\\n2026-01-01 INFO paid\\u202e')
    """
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)

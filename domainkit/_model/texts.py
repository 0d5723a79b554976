"""Untrusted texts, made safe to show."""


def shown(text: str) -> str:
    r"""Return a text that is safe in a log or a terminal: control and invisible characters become escapes.

    >>> shown("buy milk"), shown("milk\x1b[2J\n2026-01-01 INFO paid\u202e")
    ('buy milk', 'milk\\x1b[2J\\n2026-01-01 INFO paid\\u202e')
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)

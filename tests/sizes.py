"""How much the long tests do: a tenth in the ordinary run, all of it where DOMAINKIT_FULL is set."""

import os

FULL = bool(os.environ.get("DOMAINKIT_FULL"))


def at_full(number: int) -> int:
    """Return `number` in a full run, and a tenth of it in an ordinary one."""
    return number if FULL else number // 10

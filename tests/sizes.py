"""The size of the long tests: a part of it in an ordinary run, more in CI, all of it where DOMAINKIT_FULL is set."""

import os

FULL = bool(os.environ.get("DOMAINKIT_FULL"))
CI = os.environ.get("CI") == "true"
PART = 1 if FULL else 20 if CI else 40
"""One in so many of the rounds that a full run does."""


def at_full(number: int) -> int:
    """Return `number` in a full run, and a part of it in the others."""
    return number // PART

"""One class of messages by itself, from the wire: what `from_dict` and `from_json` do.

It imports all that converts. The messages import it when the first of them goes to the wire, or comes from there.
"""

from collections.abc import Mapping
from typing import TypeVar

from domainkit.conversion.envelope import MessageWire, refusal
from domainkit.conversion.limits import DEFAULT_LIMITS, checked, parsed, shallow
from domainkit.conversion.nodes import MISSING, Problems

M = TypeVar("M")
H = TypeVar("H")


def of_dict(wire: MessageWire[M, H], data: Mapping[str, object]) -> M:
    """Return the message of builtins within the default limits, or raise InvalidMessage."""
    problems = Problems(DEFAULT_LIMITS.max_problems)
    if shallow(data, DEFAULT_LIMITS, problems):
        message = wire.read(data, problems)
        if message is not None:
            return message
    raise refusal(problems)


def of_json(wire: MessageWire[M, H], raw: str | bytes) -> M:
    """Return the message of JSON within the default limits, or raise InvalidMessage."""
    problems = Problems(DEFAULT_LIMITS.max_problems)
    data = checked(raw, DEFAULT_LIMITS, problems)
    if data is not None:
        message = wire.decode(data)
        if message is not None:
            return message
        found = parsed(data, problems)
        message = None if found is MISSING else wire.read(found, problems)
        if message is not None:
            return message
    raise refusal(problems)

"""The wire form of one class of messages, read by itself: what `from_dict` and `from_json` do.

It imports all that converts. The messages import it when the first of them goes to the wire, or comes from there.
"""

from collections.abc import Mapping
from typing import Generic, TypeVar

from domainkit.conversion._envelope import MessageWire, refusal
from domainkit.conversion._limits import DEFAULT_LIMITS, checked, parsed, shallow
from domainkit.conversion._nodes import MISSING, Problems

M = TypeVar("M")
H = TypeVar("H")


class Wire(MessageWire[M, H], Generic[M, H]):
    """A MessageWire that raises what is wrong, within the default limits."""

    def of_dict(self, data: Mapping[str, object]) -> M:
        """Return the message of builtins, or raise InvalidMessage."""
        problems = Problems(DEFAULT_LIMITS.max_problems)
        if shallow(data, DEFAULT_LIMITS, problems):
            message = self.read(data, problems)
            if message is not None:
                return message
        raise refusal(problems)

    def of_json(self, raw: str | bytes) -> M:
        """Return the message of JSON, or raise InvalidMessage."""
        problems = Problems(DEFAULT_LIMITS.max_problems)
        data = checked(raw, DEFAULT_LIMITS, problems)
        if data is not None:
            message = self.decode(data)
            if message is not None:
                return message
            found = parsed(data, problems)
            message = None if found is MISSING else self.read(found, problems)
            if message is not None:
                return message
        raise refusal(problems)

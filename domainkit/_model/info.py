"""Parts that messages and envelopes share: the name, version and kind of a message class, and read-only meta."""

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from domainkit._model.mapping import FrozenMapping, freeze_json

EMPTY: FrozenMapping[str, Any] = FrozenMapping()  # Any: it has no values


@frozen
class MessageInfo:
    """Name, version and kind: together they select the class of a message.

    >>> str(MessageInfo("task.created", 2, "domain_event"))
    'domain_event task.created version 2'

    Args:
        name: `type` on the wire, such as `task.created`.
        version: counted from 1.
        kind: `type_message` on the wire: `domain_event`, `command` or `message`.
    """

    name: str
    version: int
    kind: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name} version {self.version}"


def frozen_meta(meta: Mapping[str, object] | None) -> Mapping[str, object]:
    """Return the meta of an envelope, read-only at every depth."""
    return freeze_json(meta, "$.data.meta") if meta else EMPTY  # type: ignore[return-value]  # a mapping stays one

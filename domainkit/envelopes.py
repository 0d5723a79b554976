"""The envelope of any message, for code that forwards or monitors messages without their classes."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Self, overload

from attrs import field, frozen
from attrs.validators import instance_of
from returns.result import Result

from domainkit._model.mapping import freeze_json
from domainkit.conversion.envelope import Opened, answer, forms_of, read_raw
from domainkit.conversion.limits import DEFAULT_LIMITS, Limits
from domainkit.conversion.nodes import MISSING, Problems
from domainkit.errors import InvalidMessage
from domainkit.handlers import AsyncSubscriber, Subscriber, is_async
from domainkit.messages import JsonValue, MessageHeader, MessageInfo, in_utc
from domainkit.values import Uuid


def _utc(moment: datetime) -> datetime:
    return in_utc(moment, "Envelope.occurred_on")


def _attributes(data: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    return _frozen(data, "Envelope.attributes")


def _meta(data: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    return _frozen(data, "Envelope.meta")


def _frozen(data: Mapping[str, JsonValue], path: str) -> Mapping[str, JsonValue]:
    if not isinstance(data, Mapping):
        raise TypeError(f"{path}: expected a mapping of JSON values, got {type(data).__qualname__}; pass a dict")
    return freeze_json(data, path)  # type: ignore[return-value]  # a mapping remains a mapping


@frozen
class Envelope:
    """A message of any class, with its attributes in their wire form.

    >>> from domainkit import DomainEvent
    >>> class TaskCreated(DomainEvent): ...
    >>> Envelope.parse(TaskCreated().json()).unwrap().info
    MessageInfo(name='task.created', version=1, kind='domain_event')

    Args:
        id: the message's own id.
        info: its name, version and kind.
        occurred_on: when it was created, timezone-aware; kept in UTC, to the microsecond.
        attributes: JSON values, kept as a read-only copy; `repr` doesn't show them, since they may be secret.
        meta: as in `MessageHeader`.

    Raises:
        TypeError: an argument has another type, or contains a value without a JSON form (the text gives the path).
        ValueError: `occurred_on` has no time zone.
    """

    id: Uuid = field(validator=instance_of(Uuid))
    info: MessageInfo = field(validator=instance_of(MessageInfo))
    occurred_on: datetime = field(converter=_utc)
    attributes: Mapping[str, JsonValue] = field(converter=_attributes, repr=False)
    meta: Mapping[str, JsonValue] = field(converter=_meta)

    @property
    def header(self) -> MessageHeader:
        """The header, as in a message of a known class."""
        return MessageHeader(self.id, self.occurred_on, self.meta)

    @overload
    @classmethod
    def handled_by(cls, function: Callable[[Self], Result[object, object] | None]) -> Subscriber[Self]: ...
    @overload
    @classmethod
    def handled_by(
        cls, function: Callable[[Self], Awaitable[Result[object, object] | None]]
    ) -> AsyncSubscriber[Self]: ...
    @classmethod
    def handled_by(cls, function: Callable[[Self], Any]) -> object:  # Any: an answer, or an awaitable of one
        """Return `function` bound to messages of all classes, events and commands, for a consumer.

        >>> def keep(envelope: Envelope) -> None:
        ...     print(envelope.info.name, envelope.attributes)
        >>> Envelope.handled_by(keep).message_type is Envelope
        True
        """
        return (AsyncSubscriber if is_async(function) else Subscriber)(cls, function)

    @classmethod
    def parse(cls, raw: bytes | str, *, limits: Limits = DEFAULT_LIMITS) -> Result[Self, InvalidMessage]:
        """Return a Success with the envelope of a message, or a Failure that lists every problem; it never raises.

        It is as strict as a `MessageCodec`, except that the attributes may be any object.

        >>> [str(problem) for problem in Envelope.parse(b'{"data": []}').failure().problems]
        ['$.data: expected an object (type)']

        Args:
            raw: the wire form; bytes are UTF-8.
            limits: the limits of its size.
        """
        return answer(lambda problems: cls._of(read_raw(raw, limits, problems), problems), limits)

    @staticmethod
    def is_older_form(raw: bytes) -> bool:
        """Check if a message is an older version, sent alongside a newer version of the same message.

        A consumer of all messages also gets the newer version: see `MessageCodec.encode_all`.

        >>> from domainkit import DomainEvent
        >>> Envelope.is_older_form(DomainEvent().json().encode())
        False
        """
        own, forms = forms_of(raw)
        return own in forms[1:]

    @classmethod
    def _of(cls, found: Opened | None, problems: Problems) -> Self | None:
        """Return the envelope of parts that were read; None if problems were noted."""
        if found is None:
            return None
        attributes = found.builtins(problems)
        if isinstance(attributes, Mapping) and found.id and found.info and found.occurred_on and not problems:
            try:
                return cls(Uuid(found.id), found.info, found.occurred_on, attributes, found.meta)
            except TypeError:  # parsed from JSON, so only its depth can be the problem
                raise RecursionError from None
        if not isinstance(attributes, Mapping) and attributes is not MISSING:
            problems.add("$.data.attributes", "an object", "type")
        return None

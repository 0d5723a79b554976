"""The codec: a closed set of messages, to bytes and back, old versions included."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Generic, TypedDict, get_origin

import attrs
import msgspec
from cattrs import Converter
from returns.result import Result, Success
from typing_extensions import TypeForm, TypeVar, Unpack

from domainkit._model.type_checks import describe, members
from domainkit.conversion.classes import Options
from domainkit.conversion.derive import Derivation
from domainkit.conversion.envelope import (
    MessageInfo,
    Opened,
    answer,
    assembled,
    forms_of,
    in_result,
    message_or_refusal,
    read_envelope,
    read_raw,
    refuse_over,
    with_forms,
)
from domainkit.conversion.limits import DEFAULT_LIMITS, Limits, in_utf8, shallow
from domainkit.conversion.nodes import MISSING, Problems
from domainkit.errors import InvalidMessage, Problem, UnknownMessage
from domainkit.messages import Message, new_wire, wire_of
from domainkit.versions import Downcaster, Upcaster, Wire, applied, older_forms, routes_of

MessageT_co = TypeVar("MessageT_co", bound=Message, covariant=True, default=Message)
FormT = TypeVar("FormT", bound=Message)

_START = len('{"data":{"id":"3a4d78aa-6870-41cb-aa14-964831511d86"')
_END = b',"occurred_on":'
_END_WITHIN = 400
"""The name of the class ends within this number of bytes in this library's envelopes: a guess, checked by decoding."""


class CodecOptions(TypedDict, total=False):
    """The options of a codec, for `MessageCodec.of`; see `MessageCodec`."""

    upcasters: Iterable[Upcaster]
    downcasters: Iterable[Downcaster]
    limits: Limits
    forbid_unknown: bool
    lenient_envelope: bool
    naive_as_utc: bool
    converter: Converter | None


class MessageCodec(Generic[MessageT_co]):
    """Encodes and decodes messages of a closed set of classes as JSON.

    Decoding an encoded message gives an equal message. Any other input gives either a message of one of the classes, or
    an InvalidMessage that lists every problem with its path. Nothing is coerced or invented; `decode` never raises.

    >>> from attrs import frozen
    >>> from domainkit import DomainEvent, Uuid
    >>> class TaskId(Uuid): ...
    >>> @frozen
    ... class TaskCreated(DomainEvent):
    ...     task_id: TaskId
    >>> codec = MessageCodec(TaskCreated)
    >>> event = TaskCreated(TaskId.v4())
    >>> codec.decode(codec.encode(event)) == Success(event)
    True
    >>> codec.decode(b'{"data": {"type": "task.created"}}').failure().problems[0]
    Problem(path='$.data.version', expected='int', code='missing')

    Args:
        message_types: the classes. Kind, name and version select one of them, and never another class.
        upcasters: convert messages of older versions.
        downcasters: also send messages in older versions: see `encode_all`.
        limits: the limits of a message's size.
        forbid_unknown: refuse unknown keys. By default they are ignored: a tolerant reader (Fowler, 2011).
        lenient_envelope: also read envelopes of other producers: without a kind (`type_message`) if only one class has
            that name and version, with a version as text, or with a time in nanoseconds, which is truncated. Id, name,
            version and time are still required.
        naive_as_utc: read datetimes without an offset as UTC, as petisco writes them; for one field, use `NaiveAsUtc`.
        converter: a cattrs converter, whose user-registered hooks read and write their classes.

    Raises:
        TypeError: two classes have the same kind, name and version; a class isn't decorated; a field's type has no wire
            form; or the upcasters or downcasters of a class have a gap, a cycle or a duplicate, or lead to a version
            that doesn't exist, or belongs to another class. The text names the class, and the field or the versions.
    """

    def __init__(  # noqa: PLR0913  # keyword-only options
        self,
        *message_types: type[Message],
        upcasters: Iterable[Upcaster] = (),
        downcasters: Iterable[Downcaster] = (),
        limits: Limits = DEFAULT_LIMITS,
        forbid_unknown: bool = False,
        lenient_envelope: bool = False,
        naive_as_utc: bool = False,
        converter: Converter | None = None,
    ) -> None:
        self._limits = limits
        self._forbid_unknown, self._lenient = forbid_unknown, lenient_envelope
        options = Options(forbid_unknown=forbid_unknown, naive_as_utc=naive_as_utc)
        plain, derivation = options == Options() and converter is None, Derivation(options, converter)
        made = [wire_of(one) if plain else new_wire(one, derivation) for one in dict.fromkeys(message_types)]
        self._routes = routes_of(made, tuple(upcasters))
        self._wires: Mapping[type[Message], Wire] = MappingProxyType({wire.cls: wire for wire in made})
        self._older = older_forms(made, self._routes, tuple(downcasters))
        self._encoders: dict[type[Message], Callable[[Any], bytes]] = {}  # Any: a message of the key
        self._short = limits.safe_bytes
        self._decoders: dict[bytes, Callable[[bytes], Result[MessageT_co, InvalidMessage]]] = {}
        self._current = {_start(info): route.wire for info, route in self._routes.items() if not route.upcasters}
        length = min(map(len, self._current), default=0)
        self._stop = _START + length
        self._prefix_of: Callable[[Any], bytes] = itemgetter(slice(_START, self._stop))  # Any: bytes
        self._by_prefix = dict(_by_prefix(self._current, length))

    @classmethod
    def of(cls, form: TypeForm[FormT], /, **options: Unpack[CodecOptions]) -> "MessageCodec[FormT]":
        """Return the codec for a union of message classes; `decode` returns that union.

        >>> from domainkit import DomainEvent
        >>> class Opened(DomainEvent): ...
        >>> class Closed(DomainEvent): ...
        >>> codec = MessageCodec.of(Opened | Closed)  # MessageCodec[Opened | Closed]
        >>> [one.__name__ for one in codec.message_types]
        ['Opened', 'Closed']

        Args:
            form: a message class, a union of them, or an alias.
            options: as for `MessageCodec(...)`.

        Raises:
            TypeError: a member of the union is not a message class; or as for `MessageCodec(...)`.
        """
        return MessageCodec(*map(_message_type, members(form)), **options)

    @property
    def message_types(self) -> tuple[type[Message], ...]:
        """The message classes, in the order of the arguments."""
        return tuple(self._wires)

    @property
    def wires(self) -> Mapping[type[Message], Wire]:
        """The wire type of each class, from which other formats are derived."""
        return self._wires

    @property
    def limits(self) -> Limits:
        """The limits of a message's size."""
        return self._limits

    def names_of(self, *message_types: type[Message]) -> frozenset[str]:
        """Return the names of messages that are read as these classes, or as subclasses of them.

        >>> from domainkit import DomainEvent
        >>> class TaskCreated(DomainEvent): ...
        >>> sorted(MessageCodec(TaskCreated).names_of(DomainEvent))
        ['task.created']

        Args:
            message_types: the classes; those that the codec wasn't given have no name. The names of older versions
                that upcasters read are among the names.
        """
        return frozenset(info.name for info, route in self._routes.items() if issubclass(route.wire.cls, message_types))

    def encode(self, message: Message) -> bytes:
        """Return the JSON of a message, in UTF-8.

        Raises:
            UnknownMessage: the class of the message isn't one of the codec's.
            InvalidMessage: a field has a value that can't be decoded again: NaN, a naive datetime, a value of another
                type. The problems have the paths.
        """
        encode = self._encoders.get(type(message)) or self._encoder(type(message))
        return encode(message)

    def _encoder(self, cls: type[Message]) -> Callable[[Any], bytes]:  # Any: a message of the class
        """Return the encoder of a class, which is generated when it is first needed: a reader needs none."""
        if cls not in self._wires:
            raise _not_given(cls)
        return self._encoders.setdefault(cls, self._wires[cls].encoder(self._limits))

    def versions(self, message_type: type[Message]) -> tuple[int, ...]:
        """Return the versions in which a class can be encoded: its own, and the older ones of the downcasters.

        Raises:
            UnknownMessage: the class isn't one of the codec's.
        """
        cls = get_origin(message_type) or message_type
        if cls not in self._wires:
            raise _not_given(cls)
        return (self._wires[cls].info.version, *(info.version for info, _ in self._older.get(cls, ())))

    def encode_as(self, message: Message, version: int) -> bytes:
        """Return the JSON of a message in one of its `versions`, with the same id, time and meta.

        Use it to send only that version; to send several, use `encode_all`.

        Raises:
            UnknownMessage: the class isn't one of the codec's, or no downcaster leads to that version.
            InvalidMessage: as for `encode`; or a downcaster fails, or returns a value without a JSON form.
        """
        for info, data in self._forms(message):
            if info.version == version:
                refuse_over(data, self._limits)
                return data
        expected = f"a version that the codec can write: {', '.join(map(str, self.versions(type(message))))}"
        raise UnknownMessage(problems=(Problem("$", expected, "unknown"),))

    def encode_all(self, message: Message) -> tuple[tuple[MessageInfo, bytes], ...]:
        """Return the JSON of a message in each of its `versions`, its own first, to send them all.

        Each envelope lists all of the versions (`sent_as`), so that a consumer that knows several of them handles only
        one: see `reads_another_form`. A message without older versions is the same as from `encode`.

        Raises:
            UnknownMessage: as for `encode`.
            InvalidMessage: as for `encode_as`.
        """
        found = tuple(self._forms(message))
        if len(found) == 1:
            return found
        names = [str(info) for info, _ in found]
        marked = tuple((info, with_forms(data, names)) for info, data in found)
        for _, data in marked:
            refuse_over(data, self._limits)
        return marked

    def _forms(self, message: Message) -> Iterator[tuple[MessageInfo, bytes]]:
        """Yield each version of a message, from its own to the oldest."""
        data, cls = self.encode(message), type(message)
        yield self._wires[cls].info, data
        attributes = msgspec.json.decode(data)["data"]["attributes"] if cls in self._older else None
        for info, downcaster in self._older.get(cls, ()):
            attributes = applied(downcaster.function, attributes)
            if attributes is MISSING:
                expected = f"attributes that {downcaster} takes, and JSON that it returns"
                raise InvalidMessage(problems=(Problem("$.data.attributes", expected, "value"),))
            yield info, assembled(info, message.header, attributes)

    def reads_another_form(self, raw: bytes, *message_types: type[Message]) -> bool:
        """Check if a message is also sent in another version, which this codec reads instead.

        A consumer acknowledges such a message without handling it. Of the versions from `encode_all`, the newest that
        the codec reads counts. False for a message with only one version, and for invalid data.

        >>> from domainkit import DomainEvent
        >>> MessageCodec(DomainEvent).reads_another_form(DomainEvent().json().encode())
        False

        Args:
            raw: the message, in UTF-8.
            message_types: the classes that the consumer handles, with their subclasses: a version that is read as
                another class doesn't count. By default all classes of the codec.
        """
        own, forms = forms_of(raw)
        if own not in forms:
            return False
        handled = message_types or tuple(self._wires)
        read = {str(info) for info, route in self._routes.items() if issubclass(route.wire.cls, handled)}
        return own != next((form for form in forms if form in read), own)

    def decode(self, raw: bytes | str) -> Result[MessageT_co, InvalidMessage]:
        """Return a Success with the message, or a Failure that lists every problem; it never raises.

        The Failure has an UnknownMessage if the codec doesn't know the kind, name and version. Texts have the paths and
        the expected data, never a value.
        """
        if type(raw) is bytes and len(raw) <= self._short:
            decode = self._decoders.get(raw[_START : self._stop]) or self._decoder(raw)
            return decode(raw)
        data = in_utf8(raw, self._short) if type(raw) is str else None
        return in_result(self._read_with_care(raw, None)) if data is None else self.decode(data)

    def _decoder(self, raw: bytes) -> Callable[[bytes], Result[MessageT_co, InvalidMessage]]:
        """Return the decoder for short JSON, which is generated when the first message of its class is read."""
        start = raw[_START : raw.find(_END, _START, _END_WITHIN) + len(_END)]
        wire = self._current.get(start)
        if wire is None:
            return lambda raw: in_result(self._read_with_care(raw, None))
        decoder = self._decoders.get(start)
        if decoder is None:
            decoder = wire.decoder(lambda raw, failed: in_result(self._explained(raw, failed, wire)), self._limits)
            prefix = start[: self._stop - _START]
            self._decoders[prefix if prefix in self._by_prefix else start] = decoder
        return decoder

    def decode_many(self, raws: Iterable[bytes | str], /) -> Sequence[MessageT_co | InvalidMessage]:
        """Return, for each of many messages in their order, the message, or the error that lists its problems.

        Use it to read many at once: a stream of events, the events of a projection, a batch of a consumer. It returns
        the same messages and errors as `decode`, in 80 to 95 % of the time. There is no Result around each, which
        would have to be opened; `isinstance(one, InvalidMessage)` tells them apart, for a type checker too. It raises
        nothing but what iterating over `raws` raises.

        >>> from domainkit import DomainEvent
        >>> codec, events = MessageCodec(DomainEvent), [DomainEvent(), DomainEvent()]
        >>> events == [*codec.decode_many([codec.encode(event) for event in events])]
        True
        >>> codec.decode_many([b"{}"])
        (InvalidMessage [$.data: expected an object (missing)],)

        Args:
            raws: the messages, as bytes or text. The limits apply to each of them, and not to all together.

        Returns:
            For each of `raws`, in their order, the message; or an InvalidMessage, which is an UnknownMessage if the
            codec doesn't know the kind, name and version.
        """
        given = [(in_utf8(raw, self._short) or raw) if type(raw) is str else raw for raw in raws]
        if not given or {*map(type, given)} != {bytes} or max(map(len, given)) > self._short:
            return tuple(map(self._decode_one, given))
        prefixes = [*map(self._prefix_of, given)]
        if prefixes.count(prefixes[0]) == len(prefixes):
            return tuple(self._decode_alike(prefixes[0], given))
        alike: dict[bytes, list[Any]] = {}  # Any: bytes, as just seen
        for prefix, raw in zip(prefixes, given, strict=True):
            alike.setdefault(prefix, []).append(raw)
        found = {prefix: iter(self._decode_alike(prefix, group)) for prefix, group in alike.items()}
        return tuple([next(found[prefix]) for prefix in prefixes])

    def _decode_alike(self, prefix: bytes, raws: Sequence[Any]) -> Sequence[MessageT_co | InvalidMessage]:
        """Return what `decode_many` does for short messages that have this prefix."""
        wire = self._by_prefix.get(prefix)
        if wire is None or wire.levels > self._limits.max_depth:
            return [*map(self._decode_one, raws)]
        return wire.decode_many(raws, lambda raw, failed: self._explained(raw, failed, wire))

    def _decode_one(self, raw: bytes | str) -> MessageT_co | InvalidMessage:
        result = self.decode(raw)
        return result.unwrap() if isinstance(result, Success) else result.failure()

    def _explained(self, raw: bytes, failed: Exception | None, wire: Wire) -> MessageT_co | InvalidMessage:
        """Return what `decode` does for short bytes that the fast way has refused."""
        found = None if failed is None else wire.explained(raw, failed, self._limits)
        return self._read_with_care(raw, failed) if found is None else found

    def _read_with_care(self, raw: bytes | str, failed: Exception | None) -> MessageT_co | InvalidMessage:
        return message_or_refusal(
            lambda problems: self._message_of(self._opened(raw, problems), problems, failed), self._limits
        )

    def _opened(self, raw: bytes | str, problems: Problems) -> Opened | None:
        limits, strict = self._limits, self._forbid_unknown
        return read_raw(raw, limits, problems, forbid_unknown=strict, lenient=self._lenient)

    def decode_dict(self, data: Mapping[str, object]) -> Result[MessageT_co, InvalidMessage]:
        """Decode a message as `decode` does, from builtins instead of JSON.

        >>> from domainkit import DomainEvent
        >>> event = DomainEvent()
        >>> MessageCodec(DomainEvent).decode_dict(event.dict()) == Success(event)
        True
        """

        def read(problems: Problems) -> Opened | None:
            if not shallow(data, self._limits, problems):
                return None
            return read_envelope(data, problems, forbid_unknown=self._forbid_unknown, lenient=self._lenient)

        return answer(lambda problems: self._message_of(read(problems), problems, None), self._limits)

    def _message_of(self, found: Opened | None, problems: Problems, failed: Exception | None) -> MessageT_co | None:
        if found is None or found.info is None:
            return None
        info = self._with_kind(found.info, problems) if self._lenient and not found.info.kind else found.info
        if info is None:
            return None
        route = self._routes.get(info)
        if route is None:
            problems.add("$.data", self._known_for(found.info), "unknown")
            raise UnknownMessage(problems=tuple(problems))
        for upcaster in route.upcasters:
            attributes = applied(upcaster.function, found.builtins(problems))
            if attributes is MISSING:
                problems.add("$.data.attributes", f"attributes that {upcaster} takes", "value")
                return None
            found = attrs.evolve(found, attributes=attributes)
        message: MessageT_co | None = route.wire.read(found, problems, failed)
        return message

    def _with_kind(self, info: MessageInfo, problems: Problems) -> MessageInfo | None:
        """Return the info with the kind of the one class that has its name and version; None if there are two."""
        kinds = sorted(one.kind for one in self._routes if (one.name, one.version) == (info.name, info.version))
        if len(kinds) > 1:
            text = f"{' or '.join(kinds)}, since each has {info.name} version {info.version}"
            problems.add("$.data.type_message", text, "missing")
            return None
        return attrs.evolve(info, kind=kinds[0]) if kinds else info

    def _known_for(self, info: MessageInfo) -> str:
        kinds = {info.kind} if info.kind else {known.kind for known in self._routes}
        versions = sorted(known.version for known in self._routes if known.name == info.name and known.kind in kinds)
        if not versions:
            return "a kind and type that the codec knows"
        return f"{info.kind or 'a message'} {info.name} in one of the versions {', '.join(map(str, versions))}"


def _message_type(hint: object) -> type[Message]:
    cls = get_origin(hint) or hint
    if not (isinstance(cls, type) and issubclass(cls, Message)):
        raise TypeError(
            f"MessageCodec.of: expected classes of messages, got {describe(hint)}; name each class in a union"
        )
    return cls


def _not_given(cls: type) -> UnknownMessage:
    expected = f"a message of one of the codec's classes, not {cls.__qualname__}"
    return UnknownMessage(problems=(Problem("$", expected, "unknown"),))


def _by_prefix(wires: Mapping[bytes, Wire], length: int) -> Iterator[tuple[bytes, Wire]]:
    """Yield the wire types whose first bytes no other has; the length is that of the shortest, so that all have one.

    Only long names that are alike up to there, beside a short one, have the same: these are read one by one.
    """
    counts = Counter(start[:length] for start in wires)
    for start, wire in wires.items():
        if counts[start[:length]] == 1:
            yield start[:length], wire


def _start(info: MessageInfo) -> bytes:
    """Return the bytes between the id and the time in the envelope of a message."""
    name, kind = msgspec.json.encode(info.name), msgspec.json.encode(info.kind)
    return b',"type":%b,"type_message":%b,"version":%d%b' % (name, kind, info.version, _END)

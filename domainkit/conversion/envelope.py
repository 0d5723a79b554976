"""The envelope: what stands around the attributes of every message, and one message class's way to and from bytes."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Generic, Literal, TypeVar, Union
from uuid import UUID

import msgspec
from attrs import frozen

from domainkit._model.annotations import type_of
from domainkit._model.info import EMPTY, frozen_meta
from domainkit._model.info import MessageInfo as MessageInfo
from domainkit._speedups.slots import compiled_writer
from domainkit.conversion.classes import AttrsNode
from domainkit.conversion.derive import Derivation
from domainkit.conversion.nodes import MISSING, Function, Problems
from domainkit.conversion.scalars import LEAVES
from domainkit.conversion.times import decode_moment, load_moment
from domainkit.errors import InvalidMessage, Problem
from domainkit.values import VALUE

M = TypeVar("M")
H = TypeVar("H")
MakeHeader = Callable[[UUID, datetime, Mapping[str, object]], H]

_OCCURRED_ON = "a UTC time, such as 2021-12-28 14:11:47.845618"


def utc_moment(text: str) -> datetime:
    """Return the UTC moment that is written as `text`; one without an offset is in UTC already, as the wire form says.

    Raises ValueError, DecodeError or OverflowError where it is no moment, or one finer than a microsecond.
    """
    if len(text) == _LENGTH and "\\" not in text:  # as this library and petisco write it, or nearly so
        try:
            return decode_moment(f'"{text}Z"')
        except (ValueError, msgspec.DecodeError):
            pass
    moment = load_moment(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


_LENGTH = len("2021-12-28 14:11:47.845618")
_QUOTED_LENGTH = len('"2021-12-28T14:11:47.845618Z"')
_MOMENT_END = len('"2021-12-28T14:11:47.845618')
_join = b"".join


class MessageWire(Generic[M, H]):
    """One message class on the wire. Made once per class: what can't be carried is refused then.

    Args:
        cls: the message class; it has a `header` and the fields of its payload.
        info: what selects it.
        header: makes a header of an id, a UTC time and a read-only meta.
        derivation: derives the wire types.
    """

    def __init__(self, cls: type[M], info: MessageInfo, header: MakeHeader[H], derivation: Derivation) -> None:
        self.cls: type[M] = cls
        self.info: MessageInfo = info
        self.header: MakeHeader[H] = header
        self.forbid_unknown: bool = derivation.forbid_unknown
        self._derivation = derivation
        self.node: AttrsNode = AttrsNode(cls, cls, forbid_unknown=self.forbid_unknown, exact=derivation.exact)
        self.node.complete(derivation.parts(cls, cls, frozenset({"header"})), ("header",))
        self._load: Callable[[Any, H], M] = self.node.load  # type: ignore[assignment]  # it takes the preset header too
        self.data: type[msgspec.Struct] = _data_struct(info, self.node, meta=_FlatMeta if derivation.exact else _Meta)
        self.envelope: type[msgspec.Struct] = msgspec.defstruct(
            "Envelope", [("data", self.data)], gc=False, forbid_unknown_fields=self.node.exact
        )
        self._decode: Callable[[bytes], msgspec.Struct] = msgspec.json.Decoder(self.envelope).decode
        self._write_slowly: Callable[..., bytes] = _writer(info, self.node.fast_dump)
        self.write: Callable[[M], bytes] = _compiled_writer(cls, info, self.node.fast_dump, self._write_slowly)
        self._attributes = msgspec.json.Decoder(Union[self.node.struct, None])  # noqa: UP007  (known at run time only)

    def encode(self, message: M) -> bytes:
        """Return the JSON of the message.

        Raises InvalidMessage where a value could not be read back.
        """
        try:
            return self.write(message)
        except Exception:  # Refused, the encoder's, or what a user's own hook raises: the second pass tells
            return self._carefully(message)

    def builtins(self, message: M) -> dict[str, Any]:
        """Return the wire form as builtins: just what a reader of the JSON sees. It raises as `encode` does."""
        made: dict[str, Any] = msgspec.json.decode(self.encode(message))
        return made

    def _carefully(self, message: M) -> bytes:
        problems = Problems()
        try:
            attributes = self.node.write(message, "$.data.attributes", problems)
            if not problems:
                return self._write_slowly(message, lambda _: attributes)
        except RecursionError:
            problems.add("$.data.attributes", "fewer objects inside one another", "limit")
        except (TypeError, ValueError):  # the attributes were looked at: the meta is left
            problems.add("$.data.meta", "JSON values, without lone surrogates or integers of over 4300 digits", "value")
        raise refusal(problems) from None

    @property
    def levels(self) -> float:
        """How many objects and arrays `decode_exact` reads inside one another, at most."""
        return 2 + self.node.levels

    @cached_property
    def tolerant(self) -> "MessageWire[M, H]":
        """What reads all that this class admits: unknown keys unless they are forbidden, and meta of any depth.

        It is another set of structs, which only the messages that have such things need.
        """
        derivation = Derivation(forbid_unknown=self.forbid_unknown, exact=False, converter=self._derivation.converter)
        return MessageWire(self.cls, self.info, self.header, derivation)

    def decode(self, data: bytes) -> M | None:
        """Return the message of bytes that were checked; None where they are not such a message: ask `read` why."""
        message = self.decode_exact(data)
        return self.tolerant.decode_exact(data) if message is None else message

    def decode_exact(self, data: bytes) -> M | None:
        """Return the message of bytes that have the keys of this class alone, and a meta of single values; else None.

        It looks at every part of them, so that nothing goes deeper than `levels`, and nothing is skipped unseen.
        """
        try:
            wire: Any = self._decode(data).data  # type: ignore[attr-defined]  # the struct was defined with it
            meta, attributes = wire.meta, wire.attributes
            header = self.header(wire.id, utc_moment(wire.occurred_on), frozen_meta(meta) if meta else EMPTY)
            return self._load(self.node.struct() if attributes is None else attributes, header)
        except Exception:  # msgspec's, or whatever a validator raises: the second pass tells
            return None

    def decode_attributes(self, raw: msgspec.Raw | bytes) -> Any:
        """Return the struct of the attributes alone, for `build`; it raises what msgspec raises."""
        return self._attributes.decode(raw)

    def build(self, wire: Any, attributes: Any) -> M:
        """Return the message of a decoded envelope; it raises what the validators raise."""
        meta = wire.meta
        header = self.header(wire.id, utc_moment(wire.occurred_on), frozen_meta(meta) if meta else EMPTY)
        return self._load(self.node.struct() if attributes is None else attributes, header)

    def read(self, data: object, problems: Problems) -> M | None:
        """Return the message of builtins, noting every problem; None where there are some."""
        found = read_envelope(data, problems, forbid_unknown=self.forbid_unknown)
        if found is None:
            return None
        if found.info is not None and found.info != self.info:
            problems.add("$.data", f"a {self.info}", "unknown")
            return None
        return self.read_attributes(found, problems)

    def read_attributes(self, found: "Envelope", problems: Problems) -> M | None:
        """Return the message of an envelope whose class is known; None where there are problems."""
        values = self.node.read_fields(found.attributes, "$.data.attributes", problems)
        if problems or values is None or found.id is None or found.occurred_on is None:
            return None
        header = self.header(found.id, found.occurred_on, found.meta)
        made = self.node.construct({**values, "header": header}, "$.data.attributes", problems)
        return None if made is MISSING else made


def _writer(info: MessageInfo, fast_dump: Function) -> Callable[..., bytes]:
    """Return what writes the JSON of a message, or raises: all of it in one function, since each call counts.

    It takes a message, and where it shall not be the fast one, another function that makes the attributes' struct.
    """
    start, middle, before_attributes, before_meta, end = _pieces(info)

    def write(message: Any, dump: Function = fast_dump) -> bytes:
        attributes, header = _encode(dump(message)), message.header
        try:
            moment = _encode(header.occurred_on)
        except TypeError:  # of a subclass, such as that of a library that sets the clock for a test
            moment = b""
        if len(moment) != _QUOTED_LENGTH:  # microseconds of zero were left out
            moment = _encode(header.occurred_on.isoformat("T", "microseconds"))
        return _join((
            start, _encode(header.id.value), middle, moment.replace(b"T", b" ")[:_MOMENT_END],
            before_attributes, attributes, before_meta, _encode(header.meta), end,
        ))  # fmt: skip  # in the order of the wire

    return write


def _pieces(info: MessageInfo) -> tuple[bytes, bytes, bytes, bytes, bytes]:
    """Return what stands around the parts of an envelope that each message has its own of."""
    middle = b',"type":%b,"type_message":%b,"version":%d,"occurred_on":' % (
        _encode(info.name),
        _encode(info.kind),
        info.version,
    )
    return b'{"data":{"id":', middle, b'","attributes":', b',"meta":', b"}}"


def _compiled_writer(
    cls: type, info: MessageInfo, fast_dump: Function, function: Callable[..., bytes]
) -> Callable[..., bytes]:
    header: Any = type_of(cls, "header")
    slots = (getattr(cls, "header", None), header.id, header.occurred_on, header.meta, VALUE)
    return compiled_writer(fast_dump, _encode, slots, _pieces(info), function)


_Meta = Union[dict[str, Any], None]  # noqa: UP007  (msgspec takes it as it is)
_FlatMeta = Union[dict[str, Union[str, int, float, bool, None]], None]  # noqa: UP007  (as above)


def _data_struct(info: MessageInfo, node: AttrsNode, *, meta: Any) -> type[msgspec.Struct]:
    attributes, required = node.struct, any(part.required for part in node.parts)
    fields: list[Any] = [
        ("id", UUID), ("type", Literal[info.name]), ("type_message", Literal[info.kind]),
        ("version", Literal[info.version]), ("occurred_on", str),
        ("attributes", attributes) if required else ("attributes", Union[attributes, None], None),  # noqa: UP007  (known at run time only)
        ("meta", meta, None),
    ]  # fmt: skip  # the keys in their order on the wire
    return msgspec.defstruct("Data", fields, gc=False, forbid_unknown_fields=node.exact)


_encode = msgspec.json.Encoder().encode
_KEYS = frozenset({"id", "type", "type_message", "version", "occurred_on", "attributes", "meta"})


@frozen
class Envelope:
    """An envelope as the slow pass read it: a part with a problem is None."""

    info: MessageInfo | None
    id: UUID | None
    occurred_on: datetime | None
    attributes: object
    meta: Mapping[str, object]


def read_envelope(data: object, problems: Problems, *, forbid_unknown: bool = False) -> Envelope | None:
    """Return the parts of an envelope given as builtins, noting every problem; None where there is none at all."""
    if not isinstance(data, Mapping):
        problems.add("$", "an object", "type")
        return None
    inner = data.get("data", MISSING)
    if not isinstance(inner, Mapping):
        problems.add("$.data", "an object", "missing" if inner is MISSING else "type")
        return None
    if forbid_unknown and not (data.keys() <= {"data"} and inner.keys() <= _KEYS):
        problems.add("$.data", "the keys of the envelope alone", "unknown")
    attributes = inner.get("attributes")
    return Envelope(
        _read_info(inner, problems),
        _read(inner, "id", UUID, problems),
        _read_occurred_on(inner, problems),
        {} if attributes is None else attributes,
        _read_meta(inner, problems),
    )


def _read(inner: Mapping[Any, Any], key: str, cls: type, problems: Problems) -> Any:
    if key not in inner:
        problems.add(f"$.data.{key}", LEAVES[cls].expected, "missing")
        return None
    value = LEAVES[cls].read(inner[key], f"$.data.{key}", problems)
    return None if value is MISSING else value


def _read_info(inner: Mapping[Any, Any], problems: Problems) -> MessageInfo | None:
    found = [_read(inner, key, cls, problems) for key, cls in (("type", str), ("version", int), ("type_message", str))]
    return None if None in found else MessageInfo(*found)


def _read_occurred_on(inner: Mapping[Any, Any], problems: Problems) -> datetime | None:
    found = inner.get("occurred_on", MISSING)
    if not isinstance(found, str):
        problems.add("$.data.occurred_on", _OCCURRED_ON, "missing" if found is MISSING else "type")
        return None
    try:
        return utc_moment(found)
    except (ValueError, OverflowError, msgspec.DecodeError):
        problems.add("$.data.occurred_on", _OCCURRED_ON, "value")
        return None


def _read_meta(inner: Mapping[Any, Any], problems: Problems) -> Mapping[str, object]:
    found = inner.get("meta")
    if found is None:
        return EMPTY
    if not isinstance(found, Mapping):
        problems.add("$.data.meta", "an object", "type")
        return EMPTY
    try:
        return frozen_meta(found)
    except TypeError:
        problems.add("$.data.meta", "an object of JSON values", "type")
        return EMPTY


def refusal(problems: list[Problem]) -> InvalidMessage:
    """Return the error that lists the problems."""
    return InvalidMessage(problems=tuple(problems))

"""The properties of a message as the octets that they came as, so that they go on as they are.

A text of AMQP is any octets, a table has more types than Python, and nests as deep as it likes: pamqp reads some of
that as something else, writes less than it reads, and ends the connection where it can't read (seen in 4.0.1). So a
`KeepingConnection` lets pamqp read none of it: it hands on the octets, as one header, and KeptProperties knows them.

See AMQP 0-9-1, 4.2.5 and 4.2.6, and https://www.rabbitmq.com/amqp-0-9-1-errata (section 3, types of fields).
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Self

from aio_pika import Connection
from aiormq.abc import AbstractChannel as UnderlyingChannel
from aiormq.connection import TCPTransportFactory, TLSTransportFactory, TransportFactory
from attrs import frozen
from pamqp.commands import Basic
from pamqp.common import FieldTable
from pamqp.constants import FRAME_HEADER, FRAME_HEADER_SIZE
from pamqp.encode import encode_table_value
from yarl import URL

_KEPT = "domainkit-kept"
"""The header that has all properties, from the connection to KeptProperties."""

_BEFORE = 12
"""Octets of a content header before the properties: its class, a weight, the size of the body."""

_AROUND = _BEFORE + FRAME_HEADER_SIZE + 1 + 33
"""Octets of a frame beside the properties: what is before and after them, and an id."""

_TEXT, _TABLE = -1, -4
"""Sizes of what says its own length, in the first octet or in the first four."""

_SIZES: Mapping[str, int] = MappingProxyType(
    {
        "content_type": _TEXT,
        "content_encoding": _TEXT,
        "headers": _TABLE,
        "delivery_mode": 1,
        "priority": 1,
        "correlation_id": _TEXT,
        "reply_to": _TEXT,
        "expiration": _TEXT,
        "message_id": _TEXT,
        "timestamp": 8,
        "message_type": _TEXT,
        "user_id": _TEXT,
        "app_id": _TEXT,
        "cluster_id": _TEXT,
    }
)
"""The properties in their order: the first has the highest flag."""

_FLAGS: Mapping[str, int] = MappingProxyType({name: 0x8000 >> number for number, name in enumerate(_SIZES)})
"""The flag of each property."""

_VALUES: Mapping[bytes, int] = MappingProxyType(
    {
        **dict.fromkeys((b"t", b"b", b"B"), 1),
        **dict.fromkeys((b"s", b"u"), 2),
        **dict.fromkeys((b"I", b"i", b"f"), 4),
        **dict.fromkeys((b"l", b"L", b"d", b"T"), 8),
        **dict.fromkeys((b"S", b"x", b"A", b"F"), _TABLE),
        b"D": 5,
        b"V": 0,
    }
)
"""The sizes of values in a table, by the octet before them that is their type."""

_SIGNED: Mapping[bytes, bool] = MappingProxyType(
    {**dict.fromkeys((b"b", b"s", b"I", b"l", b"L"), True), **dict.fromkeys((b"B", b"u", b"i"), False)}
)
"""The types of integers, each with True if it has a sign."""


def _size(kind: int, raw: bytes) -> int:
    return kind if kind >= 0 else -kind + int.from_bytes(raw[:-kind])


def _entries(table: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the names and values of a table, each value with its type; one of no known type with all behind it."""
    rest = table[4:]
    while rest:
        name, rest = rest[1 : 1 + rest[0]], rest[1 + rest[0] :]
        kind = _VALUES.get(rest[:1])
        end = len(rest) if kind is None else 1 + _size(kind, rest[1:])
        yield name, rest[:end]
        rest = rest[end:]


def _short(text: bytes) -> bytes:
    return bytes([len(text)]) + text


class KeptProperties(Basic.Properties):
    """Properties that are sent with the octets that they came with.

    Args:
        parts: the octets of each property that is there, by its name.
    """

    def __init__(self, parts: Mapping[str, bytes]) -> None:
        self.parts = parts
        super().__init__(message_id=_known_by(parts))

    @classmethod
    def of(cls, headers: Mapping[str, object] | None) -> Self:
        """Return the properties of a message that came over a KeepingConnection, of its headers."""
        kept = (headers or {}).get(_KEPT)
        return cls(_parts(bytes(kept) if isinstance(kept, bytearray) else bytes(2)))

    @staticmethod
    def are_bare(headers: Mapping[str, object] | None) -> bool:
        """Check if a message came without headers, as most do: a look at one bit."""
        kept = (headers or {}).get(_KEPT)
        return not (isinstance(kept, bytearray) and int.from_bytes(kept[:2]) & _FLAGS["headers"])

    def number(self, name: str) -> int | None:
        """Return a header that is an integer; None where it isn't there, or something else."""
        value = dict(_entries(self.parts.get("headers", b""))).get(name.encode(), b"V")
        signed = _SIGNED.get(value[:1])
        return None if signed is None else int.from_bytes(value[1:], signed=signed)

    def without(self, names: frozenset[str], unwanted: Callable[[bytes], bool]) -> Self:
        """Return them without the properties of these names, nor the headers that are unwanted."""
        parts = {name: part for name, part in self.parts.items() if name not in names}
        if "headers" in parts:
            kept = (_short(name) + value for name, value in _entries(parts["headers"]) if not unwanted(name))
            parts["headers"] = _table(b"".join(kept))
        return type(self)(parts)

    def having(self, headers: FieldTable) -> Self:
        """Return them with these headers, in place of those of the same names."""
        if not headers:
            return self
        new = {name.encode(): encode_table_value(value) for name, value in headers.items()}
        old = self.without(frozenset(), new.__contains__).parts.get("headers", b"")[4:]
        added = b"".join(_short(name) + value for name, value in new.items())
        return type(self)({**self.parts, "headers": _table(old + added)})

    def fits(self, channel: UnderlyingChannel) -> bool:
        """Return whether the broker takes them: all have to be in one frame, with an id from aiormq where none is."""
        return len(self.marshal()) + _AROUND <= channel.connection.connection_tune.frame_max

    def marshal(self) -> bytes:
        """Return the octets; aiormq gives an id to a message that has none, to know it by if it comes back."""
        parts = dict(self.parts)
        if _known_by(parts) is None and self.message_id is not None:
            parts["message_id"] = _short(self.message_id.encode())
        flags = sum(_FLAGS[name] for name in parts)
        return flags.to_bytes(2) + b"".join(parts[name] for name in _SIZES if name in parts)


def _table(entries: bytes) -> bytes:
    return len(entries).to_bytes(4) + entries


def _parts(raw: bytes) -> dict[str, bytes]:
    """Return the octets of each property, of all with their flags before them."""
    flags, start, found = int.from_bytes(raw[:2]), 2, dict[str, bytes]()
    for name, flag in _FLAGS.items():
        if flags & flag:
            end = start + _size(_SIZES[name], raw[start : start + 4])
            found[name], start = raw[start:end], end
    return found


def _known_by(parts: Mapping[str, bytes]) -> str | None:
    """Return the id by which aiormq knows a message that comes back: octets that are no text have one made of them."""
    raw = parts.get("message_id", b"")[1:]
    try:
        return raw.decode() or None
    except UnicodeDecodeError:
        return sha256(raw).hexdigest()


def _readable(content: bytes) -> bytes:
    """Return a content header with nothing for pamqp to stumble over: an id, and the octets of all properties."""
    raw = content[_BEFORE:]
    known = _known_by(_parts(raw))
    flags = _FLAGS["headers"] | (0 if known is None else _FLAGS["message_id"])
    kept = _table(_short(_KEPT.encode()) + b"x" + len(raw).to_bytes(4) + raw)
    return content[:_BEFORE] + flags.to_bytes(2) + kept + (b"" if known is None else _short(known.encode()))


class _KeepingReader(asyncio.StreamReader):
    """Reads the frames of another reader, and makes their content headers readable."""

    def __init__(self, inner: asyncio.StreamReader) -> None:
        super().__init__()
        self._inner = inner
        self._frame = b""

    def at_eof(self) -> bool:
        """Return whether nothing is left; aiormq asks between two frames."""
        return self._inner.at_eof()

    async def readexactly(self, n: int) -> bytes:
        """Return so many octets of a frame; aiormq asks for its head, and then for the rest of it."""
        if not self._frame:
            self._frame = await self._next()
        given, self._frame = self._frame[:n], self._frame[n:]
        return given

    async def _next(self) -> bytes:
        head = await self._inner.readexactly(FRAME_HEADER_SIZE)
        rest = await self._inner.readexactly(int.from_bytes(head[3:]) + 1)
        if head[0] != FRAME_HEADER:
            return head + rest
        content = _readable(rest[:-1])
        return head[:3] + len(content).to_bytes(4) + content + rest[-1:]


@frozen
class _KeepingTransport(TransportFactory):
    """Opens connections as another one does, and makes readable what comes."""

    inner: TransportFactory

    async def create(
        self, url: URL, **kwargs: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:  # as aiormq has it
        """Return a reader and a writer."""
        reader, writer = await self.inner.create(url, **kwargs)
        return _KeepingReader(reader), writer


class KeepingConnection(Connection):
    """A connection whose messages have the properties that KeptProperties reads."""

    async def connect(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  (as the class above has it)
        """Connect, as the class above does it."""
        inner = TLSTransportFactory() if self.url.scheme == "amqps" else TCPTransportFactory()
        self.kwargs["transport_factory"] = _KeepingTransport(inner)
        await super().connect(timeout)

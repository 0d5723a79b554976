"""Properties of a message as raw octets, so that they can be forwarded unchanged.

Text in AMQP is any octets, and a table has more types than Python and unlimited depth: pamqp misreads some of that,
can't write all that it reads, and closes the connection if it can't read something (seen in 4.0.1). So a
`KeepingConnection` hides the properties from pamqp: it passes their octets on as one header, for KeptProperties.

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
"""The header in which the connection passes all properties to KeptProperties."""

_PREFIX = 12
"""Octets of a content header before the properties: its class, a weight, the size of the body."""

_OVERHEAD = _PREFIX + FRAME_HEADER_SIZE + 1 + 33
"""Octets of a frame besides the properties: those before and after them, and an id."""

_TEXT, _TABLE = -1, -4
"""Sizes of values that start with their own length, in one octet or in four."""

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
"""The sizes of values in a table, by the type octet before them."""

_SIGNED: Mapping[bytes, bool] = MappingProxyType(
    {**dict.fromkeys((b"b", b"s", b"I", b"l", b"L"), True), **dict.fromkeys((b"B", b"u", b"i"), False)}
)
"""The types of integers: True if signed."""


def _size(kind: int, raw: bytes) -> int:
    return kind if kind >= 0 else -kind + int.from_bytes(raw[:-kind])


def _entries(table: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the names and values of a table, each value with its type; an unknown type takes the rest of the table."""
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
    """Properties that are sent with the octets in which they were received.

    Args:
        parts: the octets of each property that is set, by name.
    """

    def __init__(self, parts: Mapping[str, bytes]) -> None:
        self.parts = parts
        super().__init__(message_id=_tracking_id(parts))

    @classmethod
    def of(cls, headers: Mapping[str, object] | None) -> Self:
        """Return the properties of a message received over a KeepingConnection, from its headers."""
        kept = (headers or {}).get(_KEPT)
        return cls(_parts(bytes(kept) if isinstance(kept, bytearray) else bytes(2)))

    @staticmethod
    def are_bare(headers: Mapping[str, object] | None) -> bool:
        """Check if a message has no headers, as most don't; cheap, since it tests one bit."""
        kept = (headers or {}).get(_KEPT)
        return not (isinstance(kept, bytearray) and int.from_bytes(kept[:2]) & _FLAGS["headers"])

    def number(self, name: str) -> int | None:
        """Return a header that is an integer; None if it is missing or of another type."""
        value = dict(_entries(self.parts.get("headers", b""))).get(name.encode(), b"V")
        signed = _SIGNED.get(value[:1])
        return None if signed is None else int.from_bytes(value[1:], signed=signed)

    def without(self, names: frozenset[str], unwanted: Callable[[bytes], bool]) -> Self:
        """Return a copy without the properties of these names, and without the unwanted headers."""
        parts = {name: part for name, part in self.parts.items() if name not in names}
        if "headers" in parts:
            kept = (_short(name) + value for name, value in _entries(parts["headers"]) if not unwanted(name))
            parts["headers"] = _table(b"".join(kept))
        return type(self)(parts)

    def having(self, headers: FieldTable) -> Self:
        """Return a copy with these headers, which replace those of the same names."""
        if not headers:
            return self
        new = {name.encode(): encode_table_value(value) for name, value in headers.items()}
        old = self.without(frozenset(), new.__contains__).parts.get("headers", b"")[4:]
        added = b"".join(_short(name) + value for name, value in new.items())
        return type(self)({**self.parts, "headers": _table(old + added)})

    def fits(self, channel: UnderlyingChannel) -> bool:
        """Check if the broker accepts them: all must fit one frame, with an id that aiormq adds if there is none."""
        return len(self.marshal()) + _OVERHEAD <= channel.connection.connection_tune.frame_max

    def marshal(self) -> bytes:
        """Return the octets; aiormq adds an id to a message without one, to recognize it if the broker returns it."""
        parts = dict(self.parts)
        if _tracking_id(parts) is None and self.message_id is not None:
            parts["message_id"] = _short(self.message_id.encode())
        flags = sum(_FLAGS[name] for name in parts)
        return flags.to_bytes(2) + b"".join(parts[name] for name in _SIZES if name in parts)


def _table(entries: bytes) -> bytes:
    return len(entries).to_bytes(4) + entries


def _parts(raw: bytes) -> dict[str, bytes]:
    """Split the octets of all properties, with their flags in front, into those of each property."""
    flags, start, found = int.from_bytes(raw[:2]), 2, dict[str, bytes]()
    for name, flag in _FLAGS.items():
        if flags & flag:
            end = start + _size(_SIZES[name], raw[start : start + 4])
            found[name], start = raw[start:end], end
    return found


def _tracking_id(parts: Mapping[str, bytes]) -> str | None:
    """Return the id by which aiormq recognizes a returned message: a hash of its id if that isn't UTF-8."""
    raw = parts.get("message_id", b"")[1:]
    try:
        return raw.decode() or None
    except UnicodeDecodeError:
        return sha256(raw).hexdigest()


def _readable(content: bytes) -> bytes:
    """Return a content header that pamqp can read: an id, and one header with the octets of all properties."""
    raw = content[_PREFIX:]
    known = _tracking_id(_parts(raw))
    flags = _FLAGS["headers"] | (0 if known is None else _FLAGS["message_id"])
    kept = _table(_short(_KEPT.encode()) + b"x" + len(raw).to_bytes(4) + raw)
    return content[:_PREFIX] + flags.to_bytes(2) + kept + (b"" if known is None else _short(known.encode()))


class _KeepingReader(asyncio.StreamReader):
    """Reader that makes the content headers in the frames of another reader readable."""

    def __init__(self, inner: asyncio.StreamReader) -> None:
        super().__init__()
        self._inner = inner
        self._frame = b""

    def at_eof(self) -> bool:
        """Check if the stream has ended; aiormq asks between two frames."""
        return self._inner.at_eof()

    async def readexactly(self, n: int) -> bytes:
        """Return `n` octets of a frame; aiormq asks for its head, and then for the rest of it."""
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
    """Transport that opens connections with another one, and makes incoming frames readable."""

    inner: TransportFactory

    async def create(
        self, url: URL, **kwargs: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:  # the signature of aiormq
        """Return a reader and a writer."""
        reader, writer = await self.inner.create(url, **kwargs)
        return _KeepingReader(reader), writer


class KeepingConnection(Connection):
    """Connection whose messages have properties for KeptProperties to read."""

    async def connect(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  (the signature of the base class)
        """Connect like the base class, with readable properties."""
        inner = TLSTransportFactory() if self.url.scheme == "amqps" else TCPTransportFactory()
        self.kwargs["transport_factory"] = _KeepingTransport(inner)
        await super().connect(timeout)

    def __del__(self) -> None:
        """Do nothing: whoever opens a connection closes it.

        For one that could not connect, aio-pika would create a coroutine that closes it, which nobody awaits unless the
        garbage collector runs while the loop does (seen in 10.2.1).
        """

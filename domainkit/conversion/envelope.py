"""The envelope around the attributes of every message, and the conversion of one message class to and from bytes."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Generic, Literal, TypeVar, Union
from uuid import UUID

import msgspec
from attrs import evolve, frozen
from returns.result import Failure, Result, Success

from domainkit._model.info import EMPTY, frozen_meta
from domainkit._model.info import MessageInfo as MessageInfo
from domainkit._model.internals import SUCCESS_VALUE
from domainkit._model.mapping import freeze_parsed
from domainkit._model.wrapper import VALUE
from domainkit._speedups.code import Code, Function
from domainkit._speedups.slots import Slot, add_object, maker
from domainkit.conversion.classes import AttrsNode
from domainkit.conversion.derive import Derivation
from domainkit.conversion.limits import DEFAULT_LIMITS, Limits, checked, parsed, parsed_to_explain, shallow
from domainkit.conversion.nodes import MISSING, Problems, Refused
from domainkit.conversion.scalars import SCALARS, decode_moment, load_naive_as_utc
from domainkit.errors import InvalidMessage, Problem

M = TypeVar("M")
H = TypeVar("H")
R = TypeVar("R")
Otherwise = Callable[[bytes, Exception], R]
Refusal = Callable[[bytes, Exception | None], Result[M, InvalidMessage]]

_OCCURRED_ON = "a UTC time, such as 2021-12-28 14:11:47.845618"


def utc_moment(text: str) -> datetime:
    """Parse a datetime into UTC; without an offset it is UTC already, as the wire form defines.

    Raises ValueError, DecodeError or OverflowError if the text isn't a datetime, or is finer than a microsecond.
    """
    if len(text) == _LENGTH and "\\" not in text:  # most likely as this library and petisco write it
        try:
            return decode_moment(f'"{text}Z"')
        except (ValueError, msgspec.DecodeError):
            pass
    return load_naive_as_utc(text).astimezone(UTC)


_LENGTH = len("2021-12-28 14:11:47.845618")
_QUOTED_LENGTH = len('"2021-12-28T14:11:47.845618Z"')
_MOMENT_END = len('"2021-12-28T14:11:47.845618')


@frozen
class Opened:
    """The parts of an envelope; a part with a problem is None.

    Args:
        info: the name, kind and version, which select the message class.
        id: the message's id.
        occurred_on: the time when the message occurred, in UTC.
        attributes: the attributes as builtins, or their JSON.
        meta: the meta, read-only.
    """

    info: MessageInfo | None
    id: UUID | None
    occurred_on: datetime | None
    attributes: object
    meta: Mapping[str, Any]  # Any: JSON values; their type is in a module that imports this one

    def builtins(self, problems: Problems) -> object:
        """Return the attributes as builtins; MISSING if a problem was noted."""
        raw = self.attributes
        return parsed(bytes(raw), problems) if isinstance(raw, msgspec.Raw) else raw


class MessageWire(Generic[M, H]):
    """The conversion of one message class to and from bytes. It is made once per class, and refuses unsupported types.

    Args:
        cls: the message class; it has a `header` and the fields of its payload.
        hint: the class, with its arguments if it is generic.
        info: the name, kind and version, which select the class.
        classes: those of the message's id and of its header, which are defined later than this class.
        derivation: derives the nodes.
    """

    def __init__(
        self,
        cls: type[M],
        hint: object,
        info: MessageInfo,
        classes: tuple[type, type[H]],
        derivation: Derivation,
    ) -> None:
        self.cls: type[M] = cls
        self.info: MessageInfo = info
        self._id_class, self._header_class = classes
        self.forbid_unknown: bool = derivation.options.forbid_unknown
        self.node: AttrsNode = self._attributes_node(hint, derivation)
        self._derivation = derivation
        self.hint = hint
        self._needs_attributes = any(part.required for part in self.node.parts)
        struct = _envelope_struct(info, self.node.struct, needs_attributes=self._needs_attributes)
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(struct).decode
        self.levels: float = 2 + self.node.levels
        """The largest number of nested objects and arrays that the fast path accepts."""

    def _attributes_node(self, hint: object, derivation: Derivation) -> AttrsNode:
        node = AttrsNode(self.cls, hint, derivation.options, preset=("header",))
        node.complete(derivation.parts(self.cls, hint, frozenset({"header"})))
        return node

    # from a message

    def encoder(self, limits: Limits) -> Callable[[M], bytes]:
        """Return a function from a message of exactly this class to its JSON, generated so that it makes few calls.

        It raises InvalidMessage if a value couldn't be read back, or the message is over the limits. For a class with
        one text field it looks like this (names shortened):

            def encode(value):
                header = value.header
                meta = header.meta
                try:
                    if not (type(value) is cls):
                        raise Refused
                    v = value.text
                    if not (type(v) is str):
                        raise Refused
                    moment = write(header.occurred_on)
                    if len(moment) != 29:
                        raise Refused
                    data = join((start, write(header.id.value), middle, moment.replace(b"T", b" ")[:27],
                                 before_attributes, write(struct(v)), before_meta, write(meta) if meta else b"{}", end))
                except Exception:
                    data = explained(value)
                if meta or len(data) > 500000:
                    check(data, limits)
                return data
        """
        code = Code()
        code.names |= {"write": _write, "join": b"".join, "explained": self._explained, "Refused": Refused}
        code.names |= {"check": refuse_over, "limits": limits}
        code.add("header = value.header", "meta = header.meta")
        with code.block("try:"):
            attributes = self.node.struct_of(code, "value")
            code.add("moment = write(header.occurred_on)")
            code.add(
                f"if len(moment) != {_QUOTED_LENGTH}:", "    raise Refused"
            )  # msgspec leaves out zero microseconds
            start, middle, before_attributes, before_meta, end = map(repr, _pieces(self.info))
            code.add(
                f"data = join(({start}, write(header.id.value), {middle}, moment.replace(b'T', b' ')[:{_MOMENT_END}], "
                f"{before_attributes}, write({attributes}), {before_meta}, write(meta) if meta else b'{{}}', {end}))"
            )
        with code.block("except Exception:"):  # Refused, an error of the encoder, or whatever a user's own hook raises
            code.add("data = explained(value)")
        may_be_over = "True" if self.levels > limits.max_depth else f"meta or len(data) > {limits.safe_bytes}"
        code.add(f"if {may_be_over}:", "    check(data, limits)", "return data")
        return code.function("encode", "value", about=str(self.info))

    @cached_property
    def encode(self) -> Callable[[M], bytes]:
        """The encoder with the default limits."""
        return self.encoder(DEFAULT_LIMITS)

    def builtins(self, message: M) -> dict[str, Any]:
        """Return the wire form as builtins, as a reader of the JSON sees it; raise the same errors as `encode`."""
        made: dict[str, Any] = msgspec.json.decode(self.encode(message))
        return made

    def _explained(self, message: M) -> bytes:
        problems = Problems()
        try:
            attributes = self.node.write(message, "$.data.attributes", problems)
            if not problems:
                return assembled(self.info, message.header, attributes)  # type: ignore[attr-defined]  # every message has it
        except RecursionError:
            problems.add("$.data.attributes", _FEWER_LEVELS, "limit")
        raise refusal(problems) from None

    # to a message

    def decoder(self, otherwise: Refusal[M], limits: Limits) -> Callable[[bytes], Result[M, InvalidMessage]]:
        r"""Return a function from short JSON to a Success with the message, generated so that it makes few calls.

        This is the fast path, for bytes within `limits.safe_bytes`, without unknown keys and without nested values in
        the meta: it checks every part, and skips none. It returns what `otherwise` makes of any other bytes, and of the
        exception, which is None if the data may be too deep. For a class of one text it looks like this, except that
        it makes the objects without calls of Python functions (names shortened):

            def decode(raw):
                try:
                    wire = read(raw).data
                    meta = wire.meta
                    text = wire.occurred_on
                    if len(text) == 26 and text[10] == " " and "\\" not in text:  # as in `utc_moment`
                        moment = decode_moment(f'"{text}Z"')
                    else:
                        moment = utc_moment(text)
                    header = MessageHeader(Uuid(wire.id), moment, freeze_parsed(meta) if meta else EMPTY)
                    attributes = wire.attributes
                    return Success(Noted(header, attributes.text))
                except Exception as error:
                    failed = error.with_traceback(None)
                return otherwise(raw, failed)
        """
        code = Code()
        code.names["otherwise"] = otherwise
        if self.levels > limits.max_depth:
            code.add(f"if raw.count(b'[') + raw.count(b'{{') > {limits.max_depth}:", "    return otherwise(raw, None)")
        with code.block("try:"):
            message = self._message_of(code)
            code.add(f"return {add_object(code, Success, (_SUCCESS,), (message,))}")
        with code.block("except Exception as error:"):  # msgspec's own, or whatever a validator raises
            code.add("failed = error.with_traceback(None)")  # its frames would hold the caller, which holds the error
        code.add("return otherwise(raw, failed)")  # out here, where no error is the context of another
        return code.function("decode", "raw", about=str(self.info))

    def _message_of(self, code: Code) -> str:
        """Add the lines of `decoder` that make a message from the JSON in `raw`; return the variable that holds it."""
        code.names |= {"read": self._decode, "utc_moment": utc_moment, "decode_moment": decode_moment}
        code.names |= {"freeze_parsed": freeze_parsed, "EMPTY": EMPTY, "struct": self.node.struct}
        code.add("wire = read(raw).data", "meta = wire.meta", "text = wire.occurred_on")
        code.add(
            f"if len(text) == {_LENGTH} and text[10] == ' ' and '\\\\' not in text:",
            "    moment = decode_moment(f'\"{text}Z\"')",
        )
        code.add("else:", "    moment = utc_moment(text)", "meta = freeze_parsed(meta) if meta else EMPTY")
        made_id = add_object(code, self._id_class, (VALUE,), ("wire.id",))
        slots = tuple(getattr(self._header_class, name) for name in _HEADER)
        header = add_object(code, self._header_class, slots, (made_id, "moment", "meta"))
        code.add(f"header = {header}", "attributes = wire.attributes")
        if not self._needs_attributes:
            code.add("if attributes is None:", "    attributes = struct()")
        return self.node.object_of(code, "attributes")

    def explained(self, data: bytes, failed: Exception, limits: Limits) -> M | InvalidMessage | None:
        """Return what the slow path makes of bytes in which only the attributes are wrong; None for any others.

        It is the short way to the problems of most refused messages: msgspec reads the envelope, as in `decoder`, and
        only the attributes are read with care. `failed` is the error of the fast path for the same bytes.
        """
        if not _about_attributes(failed) or data.count(b"[") + data.count(b"{") > limits.max_depth:
            return None
        try:
            if not data.isascii():
                data.decode()  # msgspec skips the attributes here, and whatever isn't UTF-8 in them
            wire = self._decode_envelope(data).data
            meta, moment = wire.meta, utc_moment(wire.occurred_on)
            meta = freeze_parsed(meta) if meta else EMPTY
        except Exception:  # msgspec's own, or that of a time or an int: the slow path says which
            return None
        read, found = self.node.read_split, wire.attributes
        return message_or_refusal(
            lambda problems: self._message(read(found, _ATTRIBUTES, problems), wire.id, moment, meta, problems), limits
        )

    @cached_property
    def _decode_envelope(self) -> Callable[[bytes], Any]:
        """Decodes the same envelope as the fast path, with the value of each attribute left as JSON."""
        struct = _envelope_struct(self.info, dict[str, msgspec.Raw], needs_attributes=True)
        return msgspec.json.Decoder(struct).decode

    @cached_property
    def decode_many(self) -> Callable[[Iterable[bytes], Otherwise[R]], list[M | R]]:
        """A function that does what `decoder` does for many messages, without a call or a Success for each.

        In place of a message it returns what `otherwise` makes of the bytes and the exception. It looks like this, with
        the lines of `decoder` that make a message:

            def decode_many(raws, otherwise):
                made = []
                add = made.append
                for raw in raws:
                    try:
                        ...
                        add(message)
                        continue
                    except Exception as error:
                        failed = error.with_traceback(None)
                    add(otherwise(raw, failed))
                return made
        """
        code = Code()
        code.add("made = []", "add = made.append")
        with code.block("for raw in raws:"):
            with code.block("try:"):
                code.add(f"add({self._message_of(code)})", "continue")
            with code.block("except Exception as error:"):  # as in `decoder`
                code.add("failed = error.with_traceback(None)")
            code.add("add(otherwise(raw, failed))")
        code.add("return made")
        return code.function("decode_many", "raws, otherwise", about=str(self.info))

    def decode(self, data: bytes) -> M | Exception:
        """Return the message on the fast path, as `decode_many` does for many; or the exception of that path."""
        (found,) = self.decode_many((data,), lambda _, failed: failed)
        return found

    def from_json(self, raw: str | bytes) -> M:
        """Return the message from JSON; raise InvalidMessage if it is invalid or over the default limits."""
        return attempt(lambda problems: self._of_bytes(raw, problems), DEFAULT_LIMITS)

    def _of_bytes(self, raw: str | bytes, problems: Problems) -> M | None:
        data = checked(raw, DEFAULT_LIMITS, problems)
        if data is None:
            return None
        message = self.decode(data)
        if not isinstance(message, Exception):
            return message
        return self._of_envelope(opened(data, problems), problems, message)

    def from_dict(self, data: Mapping[str, object]) -> M:
        """Return the message from builtins; raise InvalidMessage if it is invalid or over the default limits."""

        def read(problems: Problems) -> M | None:
            safe = shallow(data, DEFAULT_LIMITS, problems)
            return self._of_envelope(read_envelope(data, problems), problems) if safe else None

        return attempt(read, DEFAULT_LIMITS)

    def _of_envelope(self, found: Opened | None, problems: Problems, failed: Exception | None = None) -> M | None:
        if found is None:
            return None
        if found.info is not None and found.info != self.info:
            problems.add("$.data", f"a {self.info}", "unknown")
            return None
        return self.read(found, problems, failed)

    def read(self, found: Opened, problems: Problems, failed: Exception | None = None) -> M | None:
        """Return the message from an envelope for this class, noting every problem; None if there are problems.

        `failed` is the error of the fast path for the same message. If it is in the attributes, that path is not tried
        again, unless the cause was an unknown key.
        """
        attributes, whole = found.attributes, None not in (found.info, found.id, found.occurred_on)
        again = failed is None or not _about_attributes(failed)
        if whole and again and isinstance(attributes, msgspec.Raw):
            try:
                header = self._make_header(found.id, found.occurred_on, found.meta)  # type: ignore[arg-type]  # no part is None, as just checked
                return self._load_tolerantly(attributes, header)
            except Exception:  # noqa: S110  # as in `decoder`
                pass
        if isinstance(attributes, msgspec.Raw):
            values = self.node.read_json(bytes(attributes), _ATTRIBUTES, problems)
        else:
            values = self.node.read_fields(attributes, _ATTRIBUTES, problems)
        return self._message(values, found.id, found.occurred_on, found.meta, problems)

    def _message(
        self,
        values: Mapping[str, Any] | None,
        message_id: UUID | None,
        moment: datetime | None,
        meta: Mapping[str, Any],
        problems: Problems,
    ) -> M | None:
        """Return the message of values that were read with care; None if problems were noted, now or before."""
        if problems or values is None:
            return None
        header = self._make_header(message_id, moment, meta)  # type: ignore[arg-type]  # a part that is None has a problem
        made = self.node.construct({**values, "header": header}, _ATTRIBUTES, problems)
        return None if made is MISSING else made

    @cached_property
    def _make_header(self) -> Callable[[UUID, datetime, Mapping[str, object]], H]:
        """Makes a header of the UUID of the message, its time in UTC, and its read-only meta."""
        make_id: Function = maker(self._id_class, VALUE.__name__)
        make = maker(self._header_class, *_HEADER)
        return lambda message_id, moment, meta: make(make_id(message_id), moment, meta)

    @cached_property
    def _load_tolerantly(self) -> Callable[[msgspec.Raw, object], M]:
        """The fast path for attributes with unknown keys, unless these are forbidden.

        It has its own structs, which are only made once a message has such keys.
        """
        derivation = Derivation(evolve(self._derivation.options, exact=False), self._derivation.converter)
        node = self._attributes_node(self.hint, derivation)
        decode, load = msgspec.json.Decoder(node.struct).decode, node.load
        return lambda raw, header: load(decode(raw), header)


_make_success: Callable[[Any], Success[Any]] = maker(Success, SUCCESS_VALUE)  # Any: a message of any class
_make_failure: Callable[[InvalidMessage], Failure[InvalidMessage]] = maker(Failure, SUCCESS_VALUE)
_HEADER = ("id", "occurred_on", "meta")
_SUCCESS: Slot = getattr(Success, SUCCESS_VALUE)
_ATTRIBUTES = "$.data.attributes"
_FEWER_LEVELS = "fewer levels of nesting than the interpreter's stack has room for"


def attempt(read: Callable[[Problems], M | None], limits: Limits) -> M:
    """Return the result of `message_or_refusal`; raise its InvalidMessage."""
    found = message_or_refusal(read, limits)
    if isinstance(found, InvalidMessage):
        raise found
    return found


def message_or_refusal(read: Callable[[Problems], M | None], limits: Limits) -> M | InvalidMessage:
    """Return the result of `read`; if that is None, an InvalidMessage with the problems that `read` noted.

    Data that is too deep for the interpreter's stack is one of the problems.
    """
    problems = Problems(limits.max_problems)
    try:
        message = read(problems)
    except RecursionError:
        problems.add("$", _FEWER_LEVELS, "limit")
        message = None
    except InvalidMessage as error:
        return error.with_traceback(None)
    finally:
        problems.causes.clear()  # their frames hold the problems: a cycle, with the values of the message in it
    return refusal(problems) if message is None else message


def answer(read: Callable[[Problems], M | None], limits: Limits) -> Result[M, InvalidMessage]:
    """Return the result of `message_or_refusal`, as `in_result` does."""
    return in_result(message_or_refusal(read, limits))


def in_result(found: M | InvalidMessage) -> Result[M, InvalidMessage]:
    """Return a message as a Success, and an InvalidMessage as a Failure."""
    return _make_failure(found) if isinstance(found, InvalidMessage) else _make_success(found)


def refuse_over(data: bytes, limits: Limits) -> None:
    """Raise InvalidMessage for JSON that a reader with these limits refuses."""
    problems = Problems(limits.max_problems)
    if checked(data, limits, problems) is None:
        raise refusal(problems)


def assembled(info: MessageInfo, header: Any, attributes: object) -> bytes:  # Any: its class is defined later
    """Return the JSON of a message whose attributes are builtins; its time may be of any subclass of datetime."""
    start, middle, before_attributes, before_meta, end = _pieces(info)
    moment = _write(header.occurred_on.isoformat(" ", "microseconds"))[:_MOMENT_END]
    return b"".join((
        start, _write(header.id.value), middle, moment, before_attributes, _write(attributes), before_meta,
        _write(header.meta), end,
    ))  # fmt: skip  # in the order of the wire


def _pieces(info: MessageInfo) -> tuple[bytes, bytes, bytes, bytes, bytes]:
    """Return the constant pieces of an envelope, which go between the parts that differ in each message."""
    middle = b',"type":%b,"type_message":%b,"version":%d,"occurred_on":' % (
        _write(info.name),
        _write(info.kind),
        info.version,
    )
    return b'{"data":{"id":', middle, b'","attributes":', b',"meta":', b"}}"


def _about_attributes(failed: Exception) -> bool:
    """Check if an error of the fast path may be about the attributes alone, and about another thing than their keys.

    It is, except for an error of msgspec about another place: whatever checks the values comes after all of msgspec.
    """
    if not isinstance(failed, msgspec.ValidationError):
        return True
    text = str(failed)
    return f"`{_ATTRIBUTES}" in text and "unknown field" not in text


_FlatMeta = Union[dict[str, Union[str, int, float, bool, None]], None]  # noqa: UP007  # a type for msgspec, not a hint


def _envelope_struct(info: MessageInfo, attributes: type, *, needs_attributes: bool) -> type[msgspec.Struct]:
    fields: list[Any] = [
        ("id", UUID), ("type", Literal[info.name]), ("type_message", Literal[info.kind]),
        ("version", Literal[info.version]), ("occurred_on", str),
        ("attributes", attributes) if needs_attributes else ("attributes", Union[attributes, None], None),  # noqa: UP007  # known at run time only
        ("meta", _FlatMeta, None),
    ]  # fmt: skip  # the keys in their order on the wire
    data = msgspec.defstruct("Data", fields, gc=False, forbid_unknown_fields=True)
    return msgspec.defstruct("Envelope", [("data", data)], gc=False, forbid_unknown_fields=True)


_write = msgspec.json.Encoder().encode
_KEYS = frozenset({"id", "type", "type_message", "version", "occurred_on", "attributes", "meta", "sent_as"})


def with_forms(data: bytes, forms: Sequence[str]) -> bytes:
    """Return the JSON of a message with a list of all forms in which it is sent, including its own form."""
    return b'%b,"sent_as":%b}}' % (data[: -len(b"}}")], _write(forms))


class _Form(msgspec.Struct, gc=False):
    type: str
    type_message: str
    version: int
    sent_as: tuple[str, ...] = ()


_decode_form: Callable[[bytes], Any] = msgspec.json.Decoder(
    msgspec.defstruct("Form", [("data", _Form)], gc=False)
).decode


def forms_of(data: bytes) -> tuple[str, tuple[str, ...]]:
    """Return a message's own form and the list of forms in which it is sent; both empty without the list."""
    if b'"sent_as":' not in data:
        return "", ()
    try:
        form = _decode_form(data).data
    except Exception:  # msgspec's own: reporting the problems of a message is left to the codec
        return "", ()
    return str(MessageInfo(form.type, form.version, form.type_message)), form.sent_as


class _Data(msgspec.Struct, gc=False):
    """The data of an envelope, with the attributes left as JSON."""

    id: UUID
    type: str
    type_message: str
    version: int
    occurred_on: str
    attributes: msgspec.Raw = msgspec.Raw(b"{}")
    meta: dict[str, Any] | None = None


class _ExactData(_Data, gc=False, forbid_unknown_fields=True):
    """The same, without unknown keys."""


def read_raw(
    raw: object, limits: Limits, problems: Problems, *, forbid_unknown: bool = False, lenient: bool = False
) -> Opened | None:
    """Return the parts of an envelope in JSON, noting every problem; None if it isn't an envelope at all."""
    data = checked(raw, limits, problems)
    return None if data is None else opened(data, problems, forbid_unknown=forbid_unknown, lenient=lenient)


_decode_any: Callable[[bytes], Any] = msgspec.json.Decoder(msgspec.defstruct("Any", [("data", _Data)], gc=False)).decode
_decode_exact: Callable[[bytes], Any] = msgspec.json.Decoder(
    msgspec.defstruct("Exact", [("data", _ExactData)], gc=False, forbid_unknown_fields=True)
).decode


def opened(data: bytes, problems: Problems, *, forbid_unknown: bool = False, lenient: bool = False) -> Opened | None:
    """Do the same as `read_raw` with JSON that is within the limits."""
    try:
        found = (_decode_exact if forbid_unknown else _decode_any)(data).data
        attributes = found.attributes if found.attributes != _NULL else {}
        info = MessageInfo(found.type, found.version, found.type_message)
        return Opened(info, found.id, utc_moment(found.occurred_on), attributes, frozen_meta(found.meta))
    except Exception:  # msgspec's own: it has one problem, while reading builtins finds all of them
        builtins = parsed_to_explain(data, problems)
    if builtins is MISSING:
        return None
    return read_envelope(builtins, problems, forbid_unknown=forbid_unknown, lenient=lenient)


_NULL = msgspec.Raw(b"null")


def read_envelope(
    data: object, problems: Problems, *, forbid_unknown: bool = False, lenient: bool = False
) -> Opened | None:
    """Return the parts of an envelope in builtins, noting every problem; None if it isn't an envelope at all.

    A lenient reader also accepts the other forms that `_normalized` describes.
    """
    if not isinstance(data, Mapping):
        problems.add("$", "an object", "type")
        return None
    inner = data.get("data", MISSING)
    if not isinstance(inner, Mapping):
        problems.add("$.data", "an object", "missing" if inner is MISSING else "type")
        return None
    if forbid_unknown and not (data.keys() <= {"data"} and inner.keys() <= _KEYS):
        problems.add("$.data", "only the keys of the envelope", "unknown")
    inner = _normalized(inner) if lenient else inner
    attributes = inner.get("attributes")
    return Opened(
        _read_info(inner, problems),
        _read(inner, "id", UUID, problems),
        _read_occurred_on(inner, problems),
        {} if attributes is None else attributes,
        _read_meta(inner, problems),
    )


_VERSION = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_FINER = re.compile(r"(?<=\.[0-9]{6})[0-9]+", re.ASCII)


def cut_to_microseconds(text: str) -> str:
    """Return the text of a datetime with the fraction of its second cut after six digits.

    >>> cut_to_microseconds("2021-12-28T14:11:47.845618999Z")
    '2021-12-28T14:11:47.845618Z'
    """
    return _FINER.sub("", text)


def _normalized(inner: Mapping[object, object]) -> Mapping[object, object]:
    """Return the data of an envelope in the form of this library, if it has another form with a clear meaning.

    A version in text becomes an integer, nanoseconds are cut, and a kind that is absent becomes an empty text.
    """
    version, moment, made = inner.get("version"), inner.get("occurred_on"), {**inner}
    if isinstance(version, str) and _VERSION.fullmatch(version):
        made["version"] = int(version)
    if isinstance(moment, str):
        made["occurred_on"] = cut_to_microseconds(moment)
    if inner.get("type_message") is None:
        made["type_message"] = ""
    return made


def _read(inner: Mapping[object, object], key: str, cls: type, problems: Problems) -> Any:
    if key not in inner:
        problems.add(f"$.data.{key}", SCALARS[cls].expected, "missing")
        return None
    value = SCALARS[cls].read(inner[key], f"$.data.{key}", problems)
    return None if value is MISSING else value


def _read_info(inner: Mapping[object, object], problems: Problems) -> MessageInfo | None:
    found = [_read(inner, key, cls, problems) for key, cls in (("type", str), ("version", int), ("type_message", str))]
    return None if None in found else MessageInfo(*found)


def _read_occurred_on(inner: Mapping[object, object], problems: Problems) -> datetime | None:
    found = inner.get("occurred_on", MISSING)
    if not isinstance(found, str):
        problems.add("$.data.occurred_on", _OCCURRED_ON, "missing" if found is MISSING else "type")
        return None
    try:
        return utc_moment(found)
    except (ValueError, OverflowError, msgspec.DecodeError):
        problems.add("$.data.occurred_on", _OCCURRED_ON, "value")
        return None


def _read_meta(inner: Mapping[object, object], problems: Problems) -> Mapping[str, object]:
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

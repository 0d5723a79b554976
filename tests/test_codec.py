"""MessageCodec: a closed registry, total decoding, strictness, and old versions."""

import json
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import pytest
from attrs import field, frozen
from attrs.validators import ge
from cattrs import Converter
from every_kind import EveryKind, Maker, Plain, Tree
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Failure, Result, Success
from sizes import at_full
from typing_extensions import TypeAliasType

from domainkit import (
    Attributes,
    Command,
    DomainError,
    DomainEvent,
    InvalidMessage,
    Limits,
    Message,
    MessageCodec,
    MessageHeader,
    Problem,
    UnknownMessage,
    UnsupportedTypeError,
    Upcaster,
    Uuid,
    ValueObject,
    make_converter,
)


class TaskId(Uuid): ...


class Title(ValueObject[str]): ...


@frozen
class Priority(ValueObject[int]):
    value: int = field(validator=ge(1))


@frozen
class TaskCreated(DomainEvent):
    task_id: TaskId
    title: Title
    priority: Priority

    class Config:
        version = 3


@frozen
class TaskRemoved(DomainEvent):
    task_id: TaskId


@frozen
class RemoveTask(Command[None, DomainError]):
    task_id: TaskId

    class Config:
        name = "task.removed"


@frozen
class TreePlanted(DomainEvent):
    tree: Tree


def rename_title(attributes: Attributes) -> Attributes:
    """Version 1 called the title `name`."""
    return {"title" if key == "name" else key: value for key, value in attributes.items()}


def add_priority(attributes: Attributes) -> Attributes:
    """Version 2 had no priority."""
    return {**attributes, "priority": 1}


UPCASTERS = (Upcaster(TaskCreated, 1, rename_title), Upcaster(TaskCreated, 2, add_priority))


def task_codec(**options: Any) -> MessageCodec:
    """Return the codec of the messages above."""
    return MessageCodec(TaskCreated, TaskRemoved, RemoveTask, upcasters=UPCASTERS, **options)


def event() -> TaskCreated:
    """Return a new event."""
    return TaskCreated(TaskId.v4(), Title("Buy milk"), Priority(2))


def altered(message: Message, **data: object) -> bytes:
    """Return the JSON of a message with some keys of its envelope replaced."""
    envelope = json.loads(message.json())
    envelope["data"].update(data)
    return json.dumps(envelope).encode()


def problems_of(result: Result[Message, InvalidMessage]) -> tuple[Problem, ...]:
    """Return the problems of a Failure."""
    return result.failure().problems


class TestRegistry:
    def test_decodes_just_what_was_sent(self) -> None:
        """A message comes back equal, of its own class, from bytes and from text."""
        codec, sent = task_codec(), event()
        assert Success(sent) == codec.decode(codec.encode(sent))
        assert Success(sent) == codec.decode(codec.encode(sent).decode())
        assert Success(sent) == codec.decode_dict(sent.dict())

    def test_a_command_never_decodes_as_an_event(self) -> None:
        """Kind selects too: an event and a command with one name and version stay apart."""
        codec = task_codec()
        removed, remove = TaskRemoved(TaskId.v4()), RemoveTask(TaskId.v4())
        assert removed.info().name == remove.info().name
        assert Success(removed) == codec.decode(codec.encode(removed))
        assert Success(remove) == codec.decode(codec.encode(remove))

    @pytest.mark.parametrize(
        "changes", [{"type": "task.unheard"}, {"type_message": "command"}, {"version": 4}, {"type": "TaskCreated"}]
    )
    def test_an_unknown_message_is_a_failure(self, changes: dict[str, object]) -> None:
        """A kind, name or version that the codec wasn't given is an UnknownMessage, at $.data."""
        error = task_codec().decode(altered(event(), **changes)).failure()
        assert UnknownMessage is type(error)
        assert [("$.data", "unknown")] == [(problem.path, problem.code) for problem in error.problems]

    def test_a_newer_version_names_the_known_ones(self) -> None:
        """The text of an unknown version says which versions are known."""
        error = task_codec().decode(altered(event(), version=9)).failure()
        assert "domain_event task.created in one of the versions 1, 2, 3" == error.problems[0].expected

    def test_a_type_name_selects_nothing_outside_of_the_codec(self) -> None:
        """A class that exists but wasn't given is unknown, to decode and to encode."""
        codec = MessageCodec(TaskRemoved)
        assert UnknownMessage is type(codec.decode(event().json()).failure())
        with pytest.raises(UnknownMessage, match="one of the codec's classes, not TaskCreated"):
            codec.encode(event())

    def test_two_classes_for_one_name_are_refused(self) -> None:
        """Two classes with one kind, name and version are refused when the codec is built, by name."""

        class Other(DomainEvent):
            class Config:
                name = "task.removed"

        with pytest.raises(TypeError, match=r"Other: .* got domain_event task.removed version 1, those of TaskRemoved"):
            MessageCodec(TaskRemoved, Other)

    def test_a_class_given_twice_counts_once(self) -> None:
        """The same class twice is no conflict."""
        assert (TaskRemoved,) == MessageCodec(TaskRemoved, TaskRemoved).message_types

    def test_unsupported_fields_are_refused_when_the_codec_is_built(self) -> None:
        """A field that can't be carried fails the construction of the codec, not the first message."""

        @frozen
        class Odd(DomainEvent):
            when: complex

        with pytest.raises(
            UnsupportedTypeError, match=r"Odd\.when: expected a type with a wire form, got complex; use a value object"
        ):
            MessageCodec(Odd)

    def test_a_base_class_refuses_the_envelope_of_another_type(self) -> None:
        """TaskCreated.from_json on another type's envelope raises."""
        with pytest.raises(InvalidMessage):
            TaskCreated.from_json(TaskRemoved(TaskId.v4()).json())
        with pytest.raises(InvalidMessage):
            DomainEvent.from_json(event().json())

    def test_keys_in_any_order(self) -> None:
        """An envelope whose keys stand in another order is the same message."""
        sent = event()
        data = json.loads(sent.json())["data"]
        reordered = {"data": dict(reversed(data.items()))}
        assert Success(sent) == task_codec().decode(json.dumps(reordered))
        assert Success(sent) == task_codec(forbid_unknown=True).decode(json.dumps(reordered))

    def test_petisco_spacing_is_read(self) -> None:
        """The spaces that json.dumps writes make no difference."""
        sent = event()
        assert Success(sent) == task_codec().decode(json.dumps(json.loads(sent.json())))

    def test_unknown_keys_are_ignored_or_refused(self) -> None:
        """A tolerant reader by default; with forbid_unknown each unknown key is refused, at its path."""
        sent = event()
        attributes = {**sent.dict()["data"]["attributes"], "extra": 1}
        more = altered(sent, attributes=attributes)
        assert Success(sent) == task_codec().decode(more)
        assert [("$.data.attributes", "unknown")] == [
            (problem.path, problem.code) for problem in problems_of(task_codec(forbid_unknown=True).decode(more))
        ]
        envelope = altered(sent, trace="x")
        assert Success(sent) == task_codec().decode(envelope)
        assert sent == TaskCreated.from_json(more) == TaskCreated.from_json(envelope)
        assert [("$.data", "unknown")] == [
            (problem.path, problem.code) for problem in problems_of(task_codec(forbid_unknown=True).decode(envelope))
        ]

    def test_hooks_of_a_converter_win(self) -> None:
        """A class that the given converter has hooks for is read and written by them."""
        converter: Converter = make_converter()
        converter.register_unstructure_hook(Title, lambda title: title.value.upper())
        converter.register_structure_hook(Title, lambda data, _: Title(data.lower()))
        codec = MessageCodec(TaskCreated, converter=converter)
        raw = codec.encode(event())
        assert "BUY MILK" == json.loads(raw)["data"]["attributes"]["title"]
        assert Title("buy milk") == codec.decode(raw).unwrap().title  # type: ignore[attr-defined]  # it is a TaskCreated


class TestProblems:
    def test_all_problems_are_listed_with_their_paths(self) -> None:
        """Decoding lists each problem with path, what is expected and a code."""
        raw = (
            b'{"data": {"type": "task.created", "type_message": "domain_event", "version": 3, "occurred_on": "soon",'
            b' "attributes": {"task_id": "x", "priority": 0}, "meta": []}}'
        )
        assert {
            ("$.data.id", "missing"),
            ("$.data.occurred_on", "value"),
            ("$.data.meta", "type"),
            ("$.data.attributes.task_id", "value"),
            ("$.data.attributes.title", "missing"),
            ("$.data.attributes.priority", "value"),
        } == {(problem.path, problem.code) for problem in problems_of(task_codec().decode(raw))}

    @pytest.mark.parametrize("key", ["id", "type", "type_message", "version", "occurred_on", "attributes"])
    def test_nothing_that_is_missing_is_invented(self, key: str) -> None:
        """Each part of the envelope that is missing is a problem."""
        envelope = json.loads(event().json())
        del envelope["data"][key]
        assert problems_of(task_codec().decode(json.dumps(envelope)))

    @given(secret=st.text(min_size=6, alphabet=st.characters(min_codepoint=0x2500, max_codepoint=0x25FF)))
    def test_values_are_never_echoed(self, secret: str) -> None:
        """No part of what was sent stands in the error."""
        for place in ("id", "type", "version", "occurred_on", "meta", "attributes"):
            assert secret not in repr(task_codec().decode(altered(event(), **{place: secret})))
        deep = altered(event(), attributes={"title": [secret], "priority": secret, "task_id": {secret: secret}})
        assert secret not in repr(task_codec().decode(deep))

    def test_the_error_stays_short(self) -> None:
        """Ten megabytes of wrong items give a short text and no more problems than the limit."""
        raw = altered(
            event(), attributes={"title": "x" * 500_000, "task_id": ["y"] * 10_000, "priority": "z" * 500_000}
        )
        error = MessageCodec(TaskCreated, limits=Limits(max_problems=2)).decode(raw).failure()
        assert 2 == len(error.problems)
        assert len(error.detail()) < 1000

    def test_problems_beyond_the_limit_are_left_out(self) -> None:
        """At most max_problems problems are kept."""
        wrong = Maker(1).message().dict()
        attributes = wrong["data"]["attributes"]
        wrong["data"]["attributes"] = {key: {"no": "thing"} for key in attributes}
        few = MessageCodec(EveryKind, limits=Limits(max_problems=3)).decode_dict(wrong)
        many = MessageCodec(EveryKind).decode_dict(wrong)
        assert 3 == len(problems_of(few))
        assert len(attributes) - 5 <= len(problems_of(many))

    def test_builtins_that_json_never_gives_are_refused(self) -> None:
        """decode_dict refuses sets, objects and keys of other types, and does not raise."""
        data = event().dict()
        for wrong in ({"x": {1, 2}}, {1: 2}, object(), [object()], {"title": object()}):
            spoilt = {"data": {**data["data"], "attributes": wrong, "version": 1}}
            assert isinstance(task_codec().decode_dict(spoilt), Failure)
            assert isinstance(task_codec().decode_dict({"data": {**data["data"], "meta": wrong}}), Failure)


BOMBS: dict[str, bytes | str] = {
    "empty": b"",
    "brackets": b"[" * 100_000,
    "nested arrays": b"[" * 100_000 + b"]" * 100_000,
    "nested objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep and wide": b"[" + b",".join([b"[" * 60 + b"]" * 60] * 30_000) + b"]",
    "deep and wide in an unknown key": b'{"x":[' + b",".join([b"[" * 60 + b"]" * 60] * 30_000) + b'],"data":{}}',
    "a million objects": b'{"data":[' + b"{}," * 1_000_000 + b"{}]}",
    "nested in an unknown key": b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b',"data":{}}',
    "long string": b'"' + b"a" * 10_000_000 + b'"',
    "long string under the limit of bytes": b'{"data":"' + b"a" * 5_000_000 + b'"}',
    "escapes": b'"' + b"\\u0041" * 1_000_000 + b'"',
    "quotes": b'"' * 2_000_000,
    "backslashes": b'"' + b"\\" * 3_000_000,
    "long number": b"9" * 5000,
    "infinite number": b"1e999",
    "lone surrogate": b'"\\ud800"',
    "lone surrogate as text": "\ud800",
    "NUL": b"\x00",
    "BOM": b"\xef\xbb\xbf{}",
    "UTF-16": '{"data": 1}'.encode("utf-16"),
    "NaN": b"NaN",
    "not UTF-8": b'{"data": "\xff"}',
}


class TestLimits:
    @pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
    def test_bombs_are_refused_on_a_small_stack(self, bomb: bytes | str) -> None:
        """Hostile input is a Failure within 100 ms on a thread with a stack of 256 KiB."""
        codec = task_codec()
        outcome = on_small_stack(lambda: codec.decode(bomb))
        assert isinstance(outcome.value, Failure)
        assert outcome.seconds < 0.1

    @pytest.mark.parametrize(
        ("place", "value"),
        [
            ("version", "9" * 5000),
            ("version", "1e999"),
            ("meta", '{"a": ' * 70 + "1" + "}" * 70),
            ("attributes", "[" * 100_000 + "]" * 100_000),
            ("attributes", '{"title": "' + "x" * 2_000_000 + '"}'),
            ("attributes", '{"title": "\\ud800"}'),
            ("attributes", '{"priority": ' + "9" * 5000 + "}"),
            ("attributes", '{"priority": NaN}'),
        ],
    )
    def test_bombs_inside_of_an_envelope(self, place: str, value: str) -> None:
        """The same holds for a part of an envelope that is right otherwise."""
        sent = event()
        data = sent.dict()["data"]
        marked = json.dumps({"data": {**data, place: "MARK"}}).replace('"MARK"', value).encode()
        codec = task_codec()
        outcome = on_small_stack(lambda: codec.decode(marked))
        assert isinstance(outcome.value, Failure)
        assert outcome.seconds < 0.1

    def test_each_limit_holds_exactly(self) -> None:
        """A message at a limit is read; one over it is refused, with the code `limit`."""
        sent = TaskCreated(TaskId.v4(), Title("x" * 200), Priority(1))
        raw = MessageCodec(TaskCreated).encode(sent)
        fits = [Limits(max_bytes=len(raw)), Limits(max_depth=3), Limits(max_string=200)]
        exceeds = [Limits(max_bytes=len(raw) - 1), Limits(max_depth=2), Limits(max_string=199)]
        for limits in fits:
            assert Success(sent) == MessageCodec(TaskCreated, limits=limits).decode(raw)
        for limits in exceeds:
            assert ["limit"] == [
                problem.code for problem in problems_of(MessageCodec(TaskCreated, limits=limits).decode(raw))
            ]

    @pytest.mark.parametrize("place", ["the envelope", "the attributes", "the meta"])
    def test_what_no_field_has_counts_as_well(self, place: str) -> None:
        """In the meta and in unknown keys, objects go as deep as the limit says and no deeper, and text is UTF-8."""
        sent = TaskRemoved(TaskId.v4())
        codec = task_codec(limits=Limits(max_depth=6))
        before, after = {
            "the envelope": (b',"meta":{}', b',"other":{"a":%b},"meta":{}'),
            "the attributes": (b'"attributes":{', b'"attributes":{"other":%b,'),
            "the meta": (b',"meta":{}', b',"meta":{"a":%b}'),
        }[place]

        def with_value(value: bytes) -> Result[Message, InvalidMessage]:
            return codec.decode(codec.encode(sent).replace(before, after % value))

        for depth in (0, 1, 3):
            found = with_value(b'{"b":' * depth + b"1" + b"}" * depth).unwrap()
            assert (place == "the meta") == ("a" in found.header.meta)
        assert ["limit"] == [problem.code for problem in problems_of(with_value(b'{"b":' * 4 + b"1" + b"}" * 4))]
        assert ["json"] == [problem.code for problem in problems_of(with_value(b'"\xff"'))]

    def test_a_class_inside_itself_goes_as_deep_as_the_limit(self) -> None:
        """A tree that fits is read, and one that is a level deeper is refused, whatever its class would take."""
        tree = Tree("leaf")
        for _ in range(5):
            tree = Tree("branch", (tree,))
        sent = TreePlanted(tree)
        raw = MessageCodec(TreePlanted).encode(sent)  # three levels around six trees, each an object with an array
        for deepest, fits in ((15, True), (14, False)):
            assert fits == (Success(sent) == MessageCodec(TreePlanted, limits=Limits(max_depth=deepest)).decode(raw))

    @pytest.mark.parametrize("option", ["max_bytes", "max_depth", "max_string", "max_problems"])
    @pytest.mark.parametrize("value", [0, -1, 1.5, "9"])
    def test_a_limit_is_a_positive_integer(self, option: str, value: object) -> None:
        """Limits refuses what is no int from 1 on."""
        with pytest.raises((TypeError, ValueError)):
            Limits(**{option: value})  # type: ignore[arg-type]  # wrong on purpose


class Outcome:
    """The outcome of a call, and its processor time: other processes don't count."""

    value: object = None
    seconds: float = 0.0


def on_small_stack(call: Callable[[], object]) -> Outcome:
    """Return what `call` returns on a thread with a stack of 256 KiB."""
    outcome = Outcome()

    def run() -> None:
        start = time.thread_time()
        outcome.value = call()
        outcome.seconds = time.thread_time() - start

    before = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=run)
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    return outcome


class TestTotality:
    def test_round_trip_of_every_field_kind(self) -> None:
        """100,000 random messages with every kind of field come back equal (a tenth in short runs)."""
        maker, codec = Maker(seed=20261123), MessageCodec(EveryKind, Plain)
        for _ in range(at_full(100_000)):
            sent = maker.message()
            assert Success(sent) == codec.decode(codec.encode(sent))

    def test_mutated_and_random_bytes_never_raise(self) -> None:
        """200,000 random and mutated inputs give a message or an InvalidMessage, nothing else (fewer in short runs)."""
        maker, codec = Maker(seed=7), MessageCodec(EveryKind, Plain)
        samples = [codec.encode(maker.message()) for _ in range(50)]
        source = random.Random(7)
        read = refused = 0
        for _ in range(at_full(200_000)):
            result = codec.decode(mutated(source, samples))
            read += isinstance(result, Success)
            refused += isinstance(result, Failure) and isinstance(result.failure(), InvalidMessage)
        assert at_full(200_000) == read + refused
        assert read > 0
        assert refused > at_full(200_000) // 2

    @given(raw=st.binary(max_size=300) | st.text(max_size=300))
    def test_any_input_gives_a_result(self, raw: bytes | str) -> None:
        """Any bytes and any text give an InvalidMessage, since they are no envelope."""
        assert isinstance(task_codec().decode(raw).failure(), InvalidMessage)

    @pytest.mark.parametrize("raw", [None, 5, ["x"], {"data": {}}, object()])
    def test_other_objects_are_a_failure_too(self, raw: Any) -> None:
        """Input that is neither bytes nor text is a Failure with the code `type`."""
        assert ["type"] == [problem.code for problem in problems_of(task_codec().decode(raw))]

    def test_bytes_like_objects_are_read(self) -> None:
        """Bytearray and memoryview are bytes too, as sockets and brokers hand them over."""
        codec, sent = task_codec(), event()
        raw: Any = bytearray(codec.encode(sent))
        assert Success(sent) == codec.decode(raw)
        assert Success(sent) == codec.decode(memoryview(raw))  # type: ignore[arg-type]  # bytes-like, as the docs say


def mutated(source: random.Random, samples: list[bytes]) -> bytes:
    """Return random bytes, or a sample with something cut, swapped, repeated or replaced."""
    if source.random() < 0.1:
        return source.randbytes(source.randint(0, 200))
    raw = bytearray(source.choice(samples))
    for _ in range(source.randint(1, 3)):
        start = source.randrange(len(raw))
        end = min(len(raw), start + source.randint(1, 20))
        choice = source.randrange(5)
        if choice == 0:
            del raw[start:end]
        elif choice == 1:
            raw[start] = source.randrange(256)
        elif choice == 2:
            raw[start:start] = raw[start:end]
        elif choice == 3:
            raw[start:end] = source.choice([b"null", b"1", b'"x"', b"[]", b"{}", b"true", b"1e400", b"\\u0000", b","])
        else:
            raw[start:end] = bytes(reversed(raw[start:end]))
        if not raw:
            return b""
    return bytes(raw)


class TestUpcasting:
    GOLDEN = Path(__file__).parent / "golden"

    @pytest.mark.parametrize("name", ["task_created_v1.json", "task_created_v2.json", "task_created_v3.json"])
    def test_golden_files_of_all_versions_are_read(self, name: str) -> None:
        """A file written in version 1, 2 or 3 gives the message of today, for ever."""
        header = MessageHeader(
            Uuid.from_str("3a4d78aa-6870-41cb-aa14-964831511d86"),
            datetime(2021, 12, 28, 14, 11, 47, 845618, tzinfo=UTC),
            {"tenant": "home"},
        )
        expected = TaskCreated(
            TaskId.from_str("a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11"), Title("Buy milk"), Priority(1), header=header
        )
        assert Success(expected) == task_codec().decode((self.GOLDEN / name).read_bytes())
        assert Success(expected) == task_codec().decode_dict(json.loads((self.GOLDEN / name).read_bytes()))

    def test_upcasters_apply_in_order_on_every_way_in(self) -> None:
        """Version 1 goes through both functions, version 2 through the second, from bytes and from builtins."""
        old = altered(event(), version=1, attributes={"task_id": str(TaskId.v4()), "name": "Buy milk"})
        for decoded in (task_codec().decode(old), task_codec().decode_dict(json.loads(old))):
            message = decoded.unwrap()
            assert isinstance(message, TaskCreated)
            assert (Title("Buy milk"), Priority(1)) == (message.title, message.priority)

    def test_keys_that_an_old_version_has_more_are_ignored_or_refused(self) -> None:
        """An old version is read as tolerantly as one of today, and as strictly where unknown keys are forbidden."""
        sent = event()
        attributes = {"task_id": str(sent.task_id), "name": "Buy milk"}
        for more in ({"attributes": {**attributes, "extra": 1}}, {"attributes": attributes, "trace": 1}):
            old = altered(sent, version=1, **more)
            assert isinstance(task_codec().decode(old), Success)
            assert ["unknown"] == [problem.code for problem in problems_of(task_codec(forbid_unknown=True).decode(old))]
        old = altered(sent, version=1, attributes=attributes)
        assert isinstance(task_codec(forbid_unknown=True).decode(old), Success)

    def test_the_result_of_an_upcaster_is_checked_as_strictly(self) -> None:
        """Attributes that an upcaster returns are decoded like any others: wrong values are problems at their paths."""
        codec = MessageCodec(TaskCreated, upcasters=[Upcaster(TaskCreated, 2, lambda old: {**old, "priority": "1"})])
        raw = altered(event(), version=2)
        assert [("$.data.attributes.priority", "type")] == [(p.path, p.code) for p in problems_of(codec.decode(raw))]

    @pytest.mark.parametrize(
        "function",
        [lambda _: 1 / 0, lambda _: None, lambda _: {"title": {1}}, lambda old: old.update(x=1)],
        ids=["raises", "returns None", "returns what JSON can't carry", "changes its argument"],
    )
    def test_an_upcaster_that_fails_is_a_failure(self, function: Any) -> None:
        """An upcaster that raises, or returns no mapping of JSON values, makes an InvalidMessage that names it."""
        codec = MessageCodec(TaskCreated, upcasters=[Upcaster(TaskCreated, 2, function)])
        problem = problems_of(codec.decode(altered(event(), version=2)))[0]
        assert "attributes that the upcaster of TaskCreated from version 2 takes" == problem.expected

    def test_attributes_that_are_no_object_do_not_reach_an_upcaster(self) -> None:
        """An upcaster gets mappings alone."""
        codec = MessageCodec(TaskCreated, upcasters=[Upcaster(TaskCreated, 2, lambda _: pytest.fail("called"))])
        assert isinstance(codec.decode(altered(event(), version=2, attributes=[1])), Failure)

    def test_a_version_may_be_skipped_and_a_name_changed(self) -> None:
        """to_version skips a version that never existed; from_name reads what the message was called."""
        upcaster = Upcaster(
            TaskCreated, 1, lambda old: {**rename_title(old), "priority": 4}, to_version=3, from_name="task.made"
        )
        codec = MessageCodec(TaskCreated, upcasters=[upcaster])
        old = altered(event(), type="task.made", version=1, attributes={"task_id": str(TaskId.v4()), "name": "Old"})
        message = codec.decode(old).unwrap()
        assert isinstance(message, TaskCreated)
        assert (Title("Old"), Priority(4)) == (message.title, message.priority)

    def test_a_class_without_upcasters_reads_its_own_version_alone(self) -> None:
        """Version 3 given without upcasters: versions 1 and 2 are unknown."""
        assert UnknownMessage is type(MessageCodec(TaskCreated).decode(altered(event(), version=2)).failure())

    @pytest.mark.parametrize(
        ("upcasters", "text"),
        [
            ([(1, 2)], "expected another upcaster from version 2 to 3, got none; add one"),
            ([(2, 3), (3, 4)], "got domain_event task.created version 3, read as TaskCreated; change"),
            ([(2, 3), (2, 3)], "expected a single one from each version, got two; remove one"),
            ([(2, 4)], "expected a `to_version` of at most 3, the version of the class, got 4"),
            ([(2, 1), (1, 2)], "expected a later version as `to_version`, got 1; correct it"),
            ([(2, 2)], "expected a later version as `to_version`, got 2; correct it"),
            ([(4, 3)], "expected a `from_version` below 3, the version of the class; correct it"),
        ],
        ids=["gap", "from today", "duplicate", "to a later one", "cycle", "to itself", "back to today"],
    )
    def test_what_is_incomplete_is_refused_when_the_codec_is_built(
        self, upcasters: list[tuple[int, int]], text: str
    ) -> None:
        """Gaps, cycles, duplicates and versions that don't exist are refused at construction, by name."""
        made = [Upcaster(TaskCreated, start, add_priority, to_version=end) for start, end in upcasters]
        with pytest.raises(TypeError, match=text):
            MessageCodec(TaskCreated, upcasters=made)

    def test_versions_are_counted_from_one(self) -> None:
        """An upcaster from version 0 is refused."""
        with pytest.raises(ValueError, match="from_version"):
            Upcaster(TaskCreated, 0, add_priority)

    def test_an_upcaster_of_a_class_that_was_not_given_is_refused(self) -> None:
        """Its class must be among the message types."""
        with pytest.raises(
            TypeError, match="upcaster of TaskCreated from version 1: expected a class of the codec, got another"
        ):
            MessageCodec(TaskRemoved, upcasters=UPCASTERS)


class TestScale:
    def test_cost_does_not_grow_with_the_number_of_classes(self) -> None:
        """Decoding takes as long with 2,000 classes as with one: the median of the rounds is within a factor of 2."""
        classes = [
            frozen(type(f"Event{index}", (DomainEvent,), {"__annotations__": {"number": int}})) for index in range(2000)
        ]
        small, large = MessageCodec(classes[0]), MessageCodec(*classes)
        raw = small.encode(classes[0](1))
        assert small.decode(raw) == large.decode(raw)
        ratios = [seconds_of(large, raw) / seconds_of(small, raw) for _ in range(15)]
        assert sorted(ratios)[7] < 2


def seconds_of(codec: MessageCodec, raw: bytes) -> float:
    """Return how long 200 decodings take."""
    start = time.thread_time()
    for _ in range(200):
        codec.decode(raw)
    return time.thread_time() - start


@frozen
class TaskOpened(DomainEvent):
    """An event without a payload, and with a name that no command has."""


class TestLenientEnvelopes:
    """`lenient_envelope=True`: what other producers write, as far as it is plain what they say."""

    @staticmethod
    def changed(message: Message, *without: str, **data: object) -> dict[str, Any]:
        """Return the wire form of a message with other data, and without some of it."""
        inner: Any = message.dict()["data"]
        return {"data": {key: value for key, value in {**inner, **data}.items() if key not in without}}

    @pytest.mark.parametrize(
        ("without", "data"),
        [
            ((), {"version": "3"}),
            (("type_message",), {}),
            ((), {"type_message": None}),
            (("type_message",), {"version": "3"}),
            ((), {"occurred_on": "2021-12-28T14:11:47.845618999Z"}),
            ((), {"occurred_on": "2021-12-28 15:11:47.8456189+0100"}),
        ],
        ids=str,
    )
    def test_other_forms_are_read_where_the_codec_is_told(
        self, without: tuple[str, ...], data: dict[str, object]
    ) -> None:
        """They give the message that this library would have written, from bytes and from builtins; else a refusal."""
        header = MessageHeader(occurred_on=datetime(2021, 12, 28, 14, 11, 47, 845618, tzinfo=UTC))
        message = TaskCreated(TaskId.v4(), Title("Buy milk"), Priority(1), header=header)
        wire = self.changed(message, *without, **data)
        told, strict = MessageCodec(TaskCreated, RemoveTask, lenient_envelope=True), MessageCodec(TaskCreated)
        assert Success(message) == told.decode(json.dumps(wire)) == told.decode_dict(wire)
        assert problems_of(strict.decode(json.dumps(wire))) == problems_of(strict.decode_dict(wire)) != ()

    @pytest.mark.parametrize("occurred_on", ["2021-12-28 14:11:47", "2021-12-28T14:11:47Z", "2021-12-28T15:11:47+0100"])
    def test_times_without_microseconds_need_no_option(self, occurred_on: str) -> None:
        """RFC 3339 says the same moment with fewer digits, and the strict codec reads it."""
        found = MessageCodec(TaskOpened).decode_dict(self.changed(TaskOpened(), occurred_on=occurred_on)).unwrap()
        assert datetime(2021, 12, 28, 14, 11, 47, tzinfo=UTC) == found.header.occurred_on

    @pytest.mark.parametrize("key", ["id", "type", "version", "occurred_on"])
    def test_nothing_that_is_missing_is_invented(self, key: str) -> None:
        """An id, a name, a version and a time have to be there; the problem is that of a strict codec."""
        wire = self.changed(TaskOpened(), key)
        told, strict = MessageCodec(TaskOpened, lenient_envelope=True), MessageCodec(TaskOpened)
        assert problems_of(strict.decode_dict(wire)) == problems_of(told.decode_dict(wire))

    @pytest.mark.parametrize(
        "data",
        [
            {"version": version} for version in ("", "0", "01", "1.0", "v1", "-1", "٣", "9" * 10, 1.0, True, ["1"])
        ] + [{"occurred_on": moment} for moment in ("2021-12-28", "14:11:47", "now", 0, "2021-12-28T14:11:47.1+2500")]
        + [{"type_message": 5}, {"id": "5"}],
        ids=str,
    )  # fmt: skip  # three lists
    def test_what_is_not_plain_is_refused(self, data: dict[str, object]) -> None:
        """A version is digits, a time has a date and a time of day; and no other part is any more lenient."""
        assert problems_of(
            MessageCodec(TaskOpened, lenient_envelope=True).decode_dict(self.changed(TaskOpened(), **data))
        )

    def test_a_kind_that_could_be_either_is_refused(self) -> None:
        """If an event and a command have one name and version, a message has to say which it is."""
        codec = MessageCodec(TaskRemoved, RemoveTask, lenient_envelope=True)
        event = TaskRemoved(TaskId.v4())
        (problem,) = problems_of(codec.decode_dict(self.changed(event, "type_message")))
        assert (
            "$.data.type_message: expected command or domain_event, since each has task.removed version 1 (missing)"
            == str(problem)
        )
        assert Success(event) == codec.decode(codec.encode(event))

    def test_what_no_class_has_is_unknown_without_a_kind_too(self) -> None:
        """The problem names the versions that are known, whatever kind they have."""
        codec = MessageCodec(TaskCreated, lenient_envelope=True)
        newer, other = self.changed(event(), "type_message", version="9"), self.changed(TaskOpened(), "type_message")
        for wire, text in (
            (newer, "a message task.created in one of the versions 3"),
            (other, "a kind and type that the codec knows"),
        ):
            error = codec.decode_dict(wire).failure()
            assert (UnknownMessage, text) == (type(error), error.problems[0].expected)

    def test_old_versions_are_lifted(self) -> None:
        """A kind is found by the version that an upcaster takes, as well as by that of the class."""
        codec = MessageCodec(
            TaskCreated,
            upcasters=[Upcaster(TaskCreated, 1, lambda old: {**old, "priority": 1}, to_version=3)],
            lenient_envelope=True,
        )
        wire = self.changed(event(), "type_message", version="1")
        del wire["data"]["attributes"]["priority"]
        assert Priority(1) == codec.decode_dict(wire).unwrap().priority  # type: ignore[attr-defined]  # it is a TaskCreated

    def test_it_goes_with_the_other_options(self) -> None:
        """Unknown keys are refused where that is asked for, and limits hold."""
        codec = MessageCodec(TaskOpened, lenient_envelope=True, forbid_unknown=True, limits=Limits(max_bytes=500))
        wire = self.changed(TaskOpened(), "type_message")
        assert TaskOpened is type(codec.decode_dict(wire).unwrap())
        assert "unknown" == problems_of(codec.decode_dict(self.changed(TaskOpened(), version="1", more=1)))[0].code
        assert "limit" == problems_of(codec.decode(json.dumps(wire) + " " * 500))[0].code

    @given(
        st.text() | st.binary() | st.integers() | st.none(), st.sampled_from(["version", "occurred_on", "type_message"])
    )
    def test_any_input_gives_an_answer(self, value: Any, key: str) -> None:
        """No value of a part that is read leniently makes the codec raise."""
        codec = MessageCodec(TaskOpened, lenient_envelope=True)
        assert isinstance(codec.decode_dict(self.changed(TaskOpened(), **{key: value})), Result)


class Left(DomainEvent):
    """One of two classes of events."""


class Right(DomainEvent):
    """The other one."""


def test_a_union_is_the_closed_set_of_a_codec() -> None:
    """`MessageCodec.of` takes a class, a union, or an alias of one, with the options of a codec."""
    alias = TypeAliasType("alias", Left | Right)
    of: Any = MessageCodec.of  # Any: an alias that is made at run time is nothing that a type checker knows
    for form in (Left | Right, alias, Annotated[Left | Right, "both"]):
        assert (Left, Right) == of(form).message_types
    assert (Left,) == MessageCodec.of(Left).message_types
    event = Left()
    assert Success(event) == MessageCodec.of(Left | Right).decode(event.json())
    strict = MessageCodec.of(Left, forbid_unknown=True)
    assert isinstance(strict.decode_dict({**event.dict(), "more": 1}), Failure)


@pytest.mark.parametrize("form", [int, Left | None, "Left", TypeVar("T")])
def test_a_form_of_something_else_is_refused(form: object) -> None:
    """A form of anything but classes of messages is a TypeError."""
    of: Any = MessageCodec.of  # Any: a type checker refuses each of them
    with pytest.raises(TypeError, match=r"MessageCodec\.of: expected classes of messages, got "):
        of(form)

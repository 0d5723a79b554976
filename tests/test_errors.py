"""The tree of domain errors: exceptions that are values."""

import asyncio
import contextlib
import copy
import pickle
import traceback
from collections.abc import AsyncIterator, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import attrs
import pytest
from attrs import field, frozen
from hypothesis import given
from hypothesis import strategies as st

import domainkit
from domainkit import (
    AggregateAlreadyExistError,
    AggregateNotFoundError,
    AggregatesNotFoundError,
    AggregateVersionConflictError,
    AlreadyExists,
    BusCannotPublish,
    ClientAlreadyExists,
    ClientNotFound,
    ConflictError,
    CriticalError,
    DomainError,
    InvalidMessage,
    InvalidUuid,
    InvalidValueObject,
    MessageRefused,
    NotAllowed,
    NotFound,
    OutcomeUnknownError,
    Problem,
    UnknownError,
    UnknownMessage,
    UserAlreadyExists,
    UserNotFound,
    Uuid,
)

ID = Uuid.from_str("a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11")
SECRET = "canary-hunter2"
IN_TASKS = " (repository: tasks)"
AGAIN = ": retrieve it again and repeat the change"
EXISTS = f"AggregateAlreadyExistError ({ID}) [{{'message': 'Aggregate ({ID}) already exist"
CONFLICT = f"AggregateVersionConflictError ({ID}) [{{'message': 'Aggregate ({ID}) has "


class DuplicateTask(DomainError): ...


@frozen
class TooManyTasks(DomainError):
    limit: int


@frozen(slots=False)
class TooFewTasks(DomainError):
    limit: int
    found: Mapping[str, int] = field(factory=dict)


class Worse(UnknownError): ...


class OverLimit(DomainError):
    """Has a constructor of its own."""

    def __init__(self, limit: int) -> None:
        super().__init__(additional_info={"message": f"at most {limit}"})


@frozen
class OverQuota(DomainError):
    """Has a field, and a constructor of its own."""

    quota: int

    def __init__(self, quota: int) -> None:
        made_by_attrs: Any = self
        made_by_attrs.__attrs_init__(quota=quota, uuid_value="7d2b")


class WayOverQuota(OverQuota):
    """Is derived from one that has both."""


EVERY_KIND: list[DomainError] = [
    DomainError(),
    DomainError(uuid_value="7d2b", additional_info={"message": "a", "tags": ["b", {"c": {1, 2}}]}),
    DuplicateTask(uuid_value="7d2b"),
    TooManyTasks(3, uuid_value="7d2b", additional_info={"a": "b"}),
    TooManyTasks(limit=4),
    TooFewTasks(3, {"home": 2}),
    OverLimit(3),
    OverQuota(3),
    WayOverQuota(3),
    CriticalError(),
    BusCannotPublish(additional_info={"message": "broker is gone"}),
    MessageRefused(uuid_value="7d2b", additional_info={"message": "no queue is bound"}),
    OutcomeUnknownError(additional_info={"message": "no answer to COMMIT"}),
    UnknownError(exception_type="builtins.KeyError", executor="TaskCreator", filename="tasks.py", lineno=7),
    NotFound(uuid_value="7d2b"),
    AggregateNotFoundError(ID),
    AggregateNotFoundError(ID, "tasks"),
    AggregateNotFoundError(),
    AggregateNotFoundError(repository_name="tasks"),
    AggregatesNotFoundError(),
    AggregatesNotFoundError("tasks"),
    ClientNotFound(),
    UserNotFound(),
    AlreadyExists(),
    AggregateAlreadyExistError(ID),
    AggregateAlreadyExistError(ID, "tasks", "task"),
    AggregateAlreadyExistError(),
    AggregateAlreadyExistError(None, "tasks", "task"),
    ClientAlreadyExists(),
    UserAlreadyExists(),
    ConflictError(additional_info={"message": "another transaction got in the way"}),
    AggregateVersionConflictError(ID, 2),
    AggregateVersionConflictError(ID, 2, 3, "tasks"),
    NotAllowed(),
    InvalidValueObject(additional_info={"message": "Title: expected str, got int"}),
    InvalidUuid(),
    InvalidMessage(problems=(Problem("$.data.id", "a UUID", "missing"),)),
    UnknownMessage(problems=(Problem("$.data.type", "a known type", "unknown"),)),
]
every_kind = pytest.mark.parametrize(
    "error", EVERY_KIND, ids=lambda error: f"{type(error).__name__}-{error.uuid_value}-{len(str(error))}"
)


class TestTree:
    @pytest.mark.parametrize(
        ("cls", "parents"),
        [
            (CriticalError, "DomainError"),
            (BusCannotPublish, "CriticalError"),
            (MessageRefused, "BusCannotPublish"),
            (OutcomeUnknownError, "CriticalError"),
            (UnknownError, "DomainError"),
            (NotFound, "DomainError"),
            (AggregateNotFoundError, "NotFound"),
            (AggregatesNotFoundError, "NotFound"),
            (ClientNotFound, "NotFound"),
            (UserNotFound, "NotFound"),
            (AlreadyExists, "DomainError"),
            (AggregateAlreadyExistError, "AlreadyExists"),
            (ClientAlreadyExists, "AlreadyExists"),
            (UserAlreadyExists, "AlreadyExists"),
            (ConflictError, "DomainError"),
            (AggregateVersionConflictError, "ConflictError"),
            (NotAllowed, "DomainError"),
            (InvalidValueObject, "DomainError, ValueError"),
            (InvalidUuid, "InvalidValueObject"),
            (InvalidMessage, "DomainError"),
            (UnknownMessage, "InvalidMessage"),
        ],
    )
    def test_parents(self, cls: type[DomainError], parents: str) -> None:
        """Each standard error stands where the tree has it: who handles NotFound handles ClientNotFound."""
        assert parents == ", ".join(base.__name__ for base in cls.__bases__)

    def test_drawn(self) -> None:
        """The tree is drawn in the module's docstring as it is."""
        drawn = [line for line in (domainkit.errors.__doc__ or "").splitlines() if line.lstrip("│ ")[:1] in "├└D"]
        names = {line.strip("│├└─ "): (len(line) - len(line.lstrip("│├└─ "))) // 4 for line in drawn if line}
        depths = {"DomainError": 0}
        for cls in standard_errors():
            depths[cls.__name__] = len([base for base in cls.__mro__ if issubclass(base, DomainError)]) - 1
        assert depths == names

    def test_every_kind_is_tested_here(self) -> None:
        """The list of samples has every standard error."""
        assert set() == {*standard_errors()} - {type(error) for error in EVERY_KIND}


def standard_errors() -> Iterator[type[DomainError]]:
    """Yield the error classes that the library defines in the tree."""
    for cls in vars(domainkit.errors).values():
        if isinstance(cls, type) and issubclass(cls, DomainError):
            yield cls


class TestValue:
    @every_kind
    def test_equal_by_type_and_content(self, error: DomainError) -> None:
        """An error equals a copy of itself and no other error, and hashes as the copy does."""
        assert copy.deepcopy(error) == error
        assert hash(copy.deepcopy(error)) == hash(error)
        assert [error] == [other for other in EVERY_KIND if other == error]
        assert error != "text"
        assert (error == "text") is False

    def test_exact_type(self) -> None:
        """An error never equals one of a subclass, even with equal content."""
        assert NotFound(uuid_value="7d2b") != ClientNotFound(uuid_value="7d2b")
        assert ClientNotFound(uuid_value="7d2b") != NotFound(uuid_value="7d2b")
        assert DuplicateTask(uuid_value="7d2b") == DuplicateTask(uuid_value="7d2b")

    def test_own_fields_count(self) -> None:
        """Fields of one's own are compared too."""
        assert TooManyTasks(3) == TooManyTasks(limit=3)
        assert TooManyTasks(3) != TooManyTasks(4)
        assert OverQuota(3) != OverQuota(4)

    @given(
        first=st.dictionaries(st.text(max_size=2), st.integers() | st.lists(st.integers())),
        second=st.dictionaries(st.text(max_size=2), st.integers() | st.lists(st.integers())),
    )
    def test_hash_goes_with_equality(self, first: dict[str, Any], second: dict[str, Any]) -> None:
        """Any additional information is hashable, and equal errors have equal hashes."""
        left, right = DomainError(additional_info=first), DomainError(additional_info=second)
        assert (first == second) == (left == right)
        assert left != right or hash(left) == hash(right)
        assert hash(left) == hash(DomainError(additional_info=dict(reversed(first.items()))))

    def test_unhashable_information(self) -> None:
        """Even what has no hash itself may stand in the additional information."""
        error = DomainError(additional_info={"array": memoryview(bytearray(b"a")), "exception": NotFound()})
        assert hash(error) == hash(DomainError(additional_info={"array": 1, "exception": 2}))

    @every_kind
    def test_pickle_and_copy(self, error: DomainError) -> None:
        """Pickling and copying give an equal error of the same class, with the same text and arguments."""
        copies = [pickle.loads(pickle.dumps(error, protocol)) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
        for copied in (*copies, copy.copy(error), copy.deepcopy(error)):
            assert type(error) is type(copied)
            assert error == copied
            assert repr(error) == repr(copied)
            assert str(error) == str(copied)
            assert error.args == copied.args

    def test_evolve(self) -> None:
        """`attrs.evolve` gives a changed copy of an error with the constructor that attrs made."""
        assert TooManyTasks(4, uuid_value="7d2b") == attrs.evolve(TooManyTasks(3, uuid_value="7d2b"), limit=4)

    @every_kind
    @pytest.mark.parametrize("name", ["uuid_value", "additional_info", "other"])
    def test_frozen(self, error: DomainError, name: str) -> None:
        """No attribute can be set or deleted."""
        before = str(error)
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(error, name, "changed")
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            delattr(error, name)
        assert before == str(error)

    def test_information_is_a_copy(self) -> None:
        """The additional information is kept as a read-only copy, at every depth."""
        given = {"tags": ["a"], "nested": {"b": {"c"}}}
        error = DomainError(additional_info=given)
        given["tags"] = ["changed"]
        assert {"tags": ("a",), "nested": {"b": frozenset({"c"})}} == error.additional_info
        info: Any = error.additional_info
        for mapping in (info, info["nested"]):
            with pytest.raises(TypeError, match="read-only"):
                mapping["more"] = 1

    @pytest.mark.parametrize("info", ["text", ["message"], [("message", "a")], 5])
    def test_information_is_a_mapping(self, info: Any) -> None:
        """Anything but a mapping is refused, and the error shows how to write one."""
        with pytest.raises(
            TypeError, match=r"^additional_info: expected a mapping, got .*; pass one, such as \{'message': '"
        ):
            DomainError(additional_info=info)

    def test_any_mapping(self) -> None:
        """Any mapping will do, and an empty one is kept."""
        assert {"a": 1} == DomainError(additional_info=MappingProxyType({"a": 1})).additional_info
        assert {} == DomainError(additional_info={}).additional_info
        assert None is DomainError().additional_info

    def test_keywords_only(self) -> None:
        """The two parameters are given by name."""
        cls: Any = DomainError
        with pytest.raises(TypeError, match="positional"):
            cls("7d2b")


class TestException:
    @every_kind
    def test_raised(self, error: DomainError) -> None:
        """Each error can be raised, from another as well, and the one caught is the very same."""
        cause = KeyError("cause")
        with pytest.raises(type(error)) as caught:
            raise error from cause
        assert error is caught.value
        assert cause is caught.value.__cause__
        assert copy.deepcopy(error) == error

    def test_through_context_managers(self) -> None:
        """An error goes through context managers of all sorts, which set its traceback or leave it alone."""

        @contextlib.contextmanager
        def passing() -> Iterator[None]:
            yield

        @contextlib.asynccontextmanager
        async def async_passing() -> AsyncIterator[None]:
            yield

        async def go() -> None:
            async with async_passing():
                raise NotFound

        with pytest.raises(NotFound), passing(), passing():
            raise NotFound
        with pytest.raises(NotFound):
            asyncio.run(go())
        with contextlib.suppress(DomainError):
            raise NotFound

    def test_notes(self) -> None:
        """Notes can be added; they are kept by pickling, shown in a traceback, and not compared."""
        error = TooManyTasks(3)
        error.add_note("look at the list")
        assert TooManyTasks(3) == error
        assert ["look at the list"] == pickle.loads(pickle.dumps(error)).__notes__ == copy.copy(error).__notes__
        assert "look at the list" in "".join(traceback.format_exception(error))

    def test_groups(self) -> None:
        """Errors can be raised together, and handled by kind."""
        with pytest.raises(ExceptionGroup) as caught:
            raise ExceptionGroup("both", [NotFound(), AlreadyExists()])
        found, rest = caught.value.split(NotFound)
        assert (1, 1) == (len(found.exceptions) if found else 0, len(rest.exceptions) if rest else 0)

    def test_refusals_are_value_errors(self) -> None:
        """The error of a value object is a ValueError too, so that libraries which expect one find it."""
        assert isinstance(InvalidUuid(), ValueError)
        assert not isinstance(NotFound(), ValueError)


class TestDetail:
    @pytest.mark.parametrize(
        ("error", "expected"),
        [
            (DomainError(), "DomainError"),
            (NotFound(uuid_value="7d2b"), "NotFound (7d2b)"),
            (NotFound(additional_info={"a": 1}), "NotFound [{'a': 1}]"),
            (
                DuplicateTask(uuid_value="7d2b", additional_info={"list": "home"}),
                "DuplicateTask (7d2b) [{'list': 'home'}]",
            ),
            (NotFound(uuid_value="", additional_info={}), "NotFound"),
            (TooManyTasks(3, uuid_value="7d2b"), "TooManyTasks (7d2b)"),
            (
                AggregateNotFoundError(ID, "tasks"),
                f"AggregateNotFoundError ({ID}) [{{'message': 'Aggregate ({ID}) not found (repository: tasks)'}}]",
            ),
            (
                AggregateNotFoundError(ID),
                f"AggregateNotFoundError ({ID}) [{{'message': 'Aggregate ({ID}) not found'}}]",
            ),
            (AggregateNotFoundError(), "AggregateNotFoundError [{'message': 'Aggregate not found'}]"),
            (
                AggregateNotFoundError(repository_name="tasks"),
                "AggregateNotFoundError [{'message': 'Aggregate not found (repository: tasks)'}]",
            ),
            (AggregatesNotFoundError(), "AggregatesNotFoundError [{'message': 'Aggregates not found'}]"),
            (
                AggregatesNotFoundError("tasks"),
                "AggregatesNotFoundError [{'message': 'Aggregates not found (repository: tasks)'}]",
            ),
            (
                AggregateAlreadyExistError(ID, "tasks", "task"),
                f"{EXISTS}{IN_TASKS} (table: task)'}}]",
            ),
            (
                AggregateAlreadyExistError(ID),
                f"AggregateAlreadyExistError ({ID}) [{{'message': 'Aggregate ({ID}) already exist'}}]",
            ),
            (
                AggregateAlreadyExistError(None, "tasks", "task"),
                "AggregateAlreadyExistError [{'message': 'Aggregate already exist (repository: tasks) (table: task)'}]",
            ),
            (
                AggregateVersionConflictError(ID, 2),
                f"{CONFLICT}another version, not 2{AGAIN}'}}]",
            ),
            (
                AggregateVersionConflictError(ID, 2, 3, "tasks"),
                f"{CONFLICT}version 3, not 2{IN_TASKS}{AGAIN}'}}]",
            ),
            (InvalidMessage(), "InvalidMessage"),
            (InvalidMessage(additional_info={"message": "a"}), "InvalidMessage [{'message': 'a'}]"),
            (
                InvalidMessage(problems=(Problem("$.data.id", "a UUID", "missing"), Problem("$", "an object", "type"))),
                "InvalidMessage [$.data.id: expected a UUID (missing); $: expected an object (type)]",
            ),
        ],
        ids=lambda value: value.split()[0] if isinstance(value, str) else "",
    )
    def test_detail(self, error: DomainError, expected: str) -> None:
        """`detail()` is `Name (uuid) [{info}]` with absent parts left out; so are the texts of the error."""
        assert expected == error.detail() == str(error)
        assert error.detail() == repr(error) or repr(error).startswith(type(error).__name__ + "(")

    @pytest.mark.parametrize("kind", [AggregateNotFoundError, AggregateAlreadyExistError])
    @pytest.mark.parametrize("wrong", ["7d2b", 5, b"7d2b"])
    def test_no_id(self, kind: Any, wrong: object) -> None:
        """An error about an aggregate refuses anything but an id, and says how to make one, without the value."""
        found = type(wrong).__name__
        text = (
            f"{kind.__name__}.aggregate_id: expected an id, such as a Uuid, got a {found}; make an id of it, such as "
        )
        with pytest.raises(TypeError) as refused:
            kind(wrong)

        assert f"{text}Uuid.from_str(...)" == str(refused.value)

    def test_a_subclass_without_an_id(self) -> None:
        """An error derived from one about an aggregate needs no id either."""

        class TaskNotFound(AggregateNotFoundError): ...

        assert "TaskNotFound [{'message': 'Aggregate not found'}]" == TaskNotFound().detail()

    def test_what_a_terminal_would_obey_is_escaped(self) -> None:
        """A text from outside, as an id, as additional information or in a path, can't pass for a line of a log."""
        wild = "a\x1b[2J\n2026-01-01 ERROR paid\u202e"
        tame = "a\\x1b[2J\\n2026-01-01 ERROR paid\\u202e"
        assert f"NotFound ({tame})" == NotFound(uuid_value=wild).detail()
        assert f"NotFound [{{'id': '{tame}'}}]" == NotFound(additional_info={"id": wild}).detail()
        assert f"$.{tame}: expected an int (type)" == str(Problem(f"$.{wild}", "an int", "type"))
        assert wild == NotFound(uuid_value=wild).uuid_value

    def test_many_problems(self) -> None:
        """Five problems of a message are shown, and the others counted."""
        problems = tuple(Problem(f"$[{index}]", "an int", "type") for index in range(7))
        assert InvalidMessage(problems=problems).detail().endswith("$[4]: expected an int (type); and 2 more]")
        assert InvalidMessage(problems=problems[:5]).detail().endswith("$[4]: expected an int (type)]")

    def test_own_fields_are_in_the_repr(self) -> None:
        """An error with fields of its own shows them, as attrs does."""
        assert "TooManyTasks(uuid_value=None, additional_info=None, limit=3)" == repr(TooManyTasks(3))


class TestUnknownError:
    def test_from_exception(self) -> None:
        """It says which exception it was, where it was raised, and in which use case; the exception is its cause."""

        def fail() -> None:
            raise KeyError(SECRET)

        with pytest.raises(KeyError) as caught:
            fail()
        error = UnknownError.from_exception(caught.value, executor="TaskCreator")
        assert ("builtins.KeyError", "TaskCreator") == (error.exception_type, error.executor)
        assert (__file__, fail.__code__.co_firstlineno + 1) == (error.filename, error.lineno)
        assert caught.value is error.__cause__
        assert "UnknownError [{'exception': 'KeyError', 'executor': 'TaskCreator'}]" == error.detail()

    def test_never_raised(self) -> None:
        """An exception that was never raised has no place, and the use case may be unknown."""
        error = UnknownError.from_exception(ValueError())
        assert (None, None, None) == (error.filename, error.lineno, error.executor)
        assert "UnknownError [{'exception': 'ValueError'}]" == error.detail()

    def test_says_no_secret(self) -> None:
        """Neither its texts nor its content nor its pickle hold the exception's text."""
        error = UnknownError.from_exception(RuntimeError(SECRET), executor="TaskCreator")
        for text in (str(error), repr(error), str(error.args), str(attrs.asdict(error)), str(pickle.dumps(error))):
            assert SECRET not in text

    def test_a_value(self) -> None:
        """The cause is not compared; a subclass makes its own kind."""
        assert UnknownError.from_exception(ValueError("a")) == UnknownError.from_exception(ValueError("b"))
        assert UnknownError.from_exception(ValueError()) != UnknownError.from_exception(KeyError())
        assert Worse is type(Worse.from_exception(ValueError()))

    def test_deep_recursion(self) -> None:
        """The innermost place is found in a very deep traceback, too."""

        def dive() -> None:
            dive()

        with pytest.raises(RecursionError) as caught:
            dive()
        assert __file__ == UnknownError.from_exception(caught.value).filename


def test_problem() -> None:
    """A problem is a value that reads as a sentence."""
    problem = Problem(path="$.data", expected="an object", code="type")
    assert "$.data: expected an object (type)" == str(problem)
    assert 1 == len({problem, Problem("$.data", "an object", "type")})

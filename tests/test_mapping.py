"""Read-only mappings and copies."""

import copy
import operator
import pickle
from collections import OrderedDict, UserDict, defaultdict, namedtuple
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domainkit._model.mapping import FrozenMapping, freeze_json, frozen_copy

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
Point = namedtuple("Point", "x y")  # noqa: PYI024  # the plain one: what matters is the class it makes


class Box:
    """Something that can change, as a user may put it beside plain values."""

    def __init__(self) -> None:
        self.items: list[int] = []


def holds_mutable(value: object) -> bool:
    """Tell whether a list, set, bytearray or mapping that can change is in `value`."""
    if isinstance(value, Mapping):
        return type(value) is not FrozenMapping or any(map(holds_mutable, value.values()))
    if isinstance(value, tuple):
        return any(map(holds_mutable, value))
    return isinstance(value, list | set | bytearray)


class TestFrozenMapping:
    @pytest.mark.parametrize(
        "change",
        [
            lambda mapping: operator.setitem(mapping, "a", 2),
            lambda mapping: operator.setitem(mapping, "b", 2),
            lambda mapping: operator.delitem(mapping, "a"),
            lambda mapping: mapping.__ior__({"b": 2}),
            lambda mapping: mapping.clear(),
            lambda mapping: mapping.pop("a"),
            lambda mapping: mapping.pop("b", None),
            lambda mapping: mapping.popitem(),
            lambda mapping: mapping.setdefault("b", 2),
            lambda mapping: mapping.update(b=2),
            lambda mapping: mapping.update({"b": 2}),
            lambda mapping: setattr(mapping, "extra", 2),
            lambda mapping: setattr(mapping, "_filled", False),
            lambda mapping: delattr(mapping, "_filled"),
            lambda mapping: mapping.__init__(b=2),
            lambda mapping: mapping.__init__({"b": 2}),
            lambda mapping: mapping.__init__(),
        ],
    )
    def test_refuses_changes(self, change: Callable[[Any], object]) -> None:
        """Every way to change the mapping is refused, and leaves it as it was."""
        mapping = FrozenMapping({"a": 1})
        with pytest.raises((TypeError, AttributeError), match=r"read-only|no attribute"):
            change(mapping)
        assert {"a": 1} == mapping

    def test_remedy(self) -> None:
        """The error says how to get a changed mapping."""
        mapping: Any = FrozenMapping({"a": 1})
        with pytest.raises(
            TypeError, match=r"^this mapping is read-only: build a new one, such as \{\*\*old, key: value\}$"
        ):
            mapping["a"] = 2
        assert {"a": 2} == {**mapping, "a": 2} == mapping | {"a": 2}

    @given(content=st.dictionaries(st.text(), st.integers()))
    def test_is_a_value(self, content: dict[str, int]) -> None:
        """It equals a dict of the same items, its hash goes with that, and it looks like one."""
        mapping = FrozenMapping(content)
        assert content == mapping
        assert repr(content) == repr(mapping)
        assert hash(FrozenMapping(reversed(content.items()))) == hash(mapping)
        assert 1 == len({mapping, FrozenMapping(content)})

    def test_unhashable_value(self) -> None:
        """It is hashable as far as its values are."""
        with pytest.raises(TypeError, match="unhashable"):
            hash(FrozenMapping({"a": []}))

    @given(content=st.dictionaries(st.text(), st.integers() | st.tuples(st.text())))
    def test_copies(self, content: dict[str, object]) -> None:
        """Pickling and copying give an equal mapping of the same class; nothing is copied that can't change."""
        mapping = FrozenMapping({"outer": FrozenMapping(content), **content})
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            pickled = pickle.loads(pickle.dumps(mapping, protocol))
            assert mapping == pickled
            assert FrozenMapping is type(pickled) is type(pickled["outer"])
        assert mapping is copy.copy(mapping)
        assert mapping is copy.deepcopy(mapping)

    def test_deep_copy_of_what_can_change(self) -> None:
        """A deep copy shares nothing that can change with its original."""
        mapping: FrozenMapping[str, Any] = FrozenMapping({"box": Box(), "nested": FrozenMapping({"boxes": (Box(),)})})
        copied = copy.deepcopy(mapping)
        copied["box"].items.append(1)
        copied["nested"]["boxes"][0].items.append(1)
        assert [] == mapping["box"].items == mapping["nested"]["boxes"][0].items
        assert FrozenMapping is type(copied) is type(copied["nested"])


class TestFrozenCopy:
    @given(value=JSON)
    def test_nothing_mutable_is_left(self, value: object) -> None:
        """At no depth does a list, set or dict that can change remain; the copy of a copy is equal to it."""
        copied = frozen_copy(value)
        assert not holds_mutable(copied)
        assert copied == frozen_copy(copied)
        hash(copied)

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ([1, [2]], (1, (2,))),
            ({1, 2}, frozenset({1, 2})),
            (bytearray(b"a"), b"a"),
            ({"a": {"b": [1]}}, {"a": {"b": (1,)}}),
            (({"a": []},), ({"a": ()},)),
            (defaultdict(list, a=[1]), {"a": (1,)}),
            (OrderedDict(a={"b": 1}), {"a": {"b": 1}}),
            (MappingProxyType({"a": 1}), {"a": 1}),
            (UserDict({"a": 1}), {"a": 1}),
            (Point(1, 2), Point(1, 2)),
            ("text", "text"),
            (None, None),
        ],
    )
    def test_replaced(self, value: object, expected: object) -> None:
        """Mappings, lists, sets and bytearrays of any kind become their read-only kind; the rest stays."""
        copied = frozen_copy(value)
        assert expected == copied
        assert not holds_mutable(copied)

    def test_later_changes_do_not_show(self) -> None:
        """The copy shares nothing with what it was made of."""
        inner = [1]
        value = {"a": inner}
        copied = frozen_copy(value)
        inner.append(2)
        value["b"] = [3]
        assert {"a": (1,)} == copied

    def test_a_frozen_one_is_kept(self) -> None:
        """A frozen mapping is not copied again."""
        mapping = FrozenMapping({"a": 1})
        assert mapping is frozen_copy(mapping)


class TestFreezeJson:
    @given(value=JSON)
    def test_frozen(self, value: object) -> None:
        """Any JSON value is kept, with its lists and dicts made read-only."""
        frozen = freeze_json(value)
        assert frozen_copy(value) == frozen
        assert not holds_mutable(frozen)

    @given(value=st.dictionaries(st.text(), JSON))
    def test_what_was_frozen_is_kept(self, value: dict[str, object]) -> None:
        """A value that it returned is not checked again; a mapping that somebody else made read-only is."""
        frozen = freeze_json(value)
        assert frozen is freeze_json(frozen)
        assert (frozen,) == freeze_json([frozen])
        with pytest.raises(TypeError, match=r"^\$\.a: expected a JSON value, got bytes"):
            freeze_json(FrozenMapping({"a": b""}))

    def test_frozen_by_it_like_any_other(self) -> None:
        """It can't be filled again, and is hashed, copied and pickled as a FrozenMapping."""
        frozen: Any = freeze_json({"a": [1]})
        with pytest.raises(TypeError, match="read-only"):
            frozen.__init__(leak=1)
        assert FrozenMapping({"a": (1,)}) == frozen == pickle.loads(pickle.dumps(frozen)) == copy.deepcopy(frozen)
        assert hash(FrozenMapping({"a": (1,)})) == hash(frozen)

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (float("nan"), r"^\$: expected a value that JSON can carry, got NaN or an infinite number$"),
            ({"a": [float("inf")]}, r"^\$\.a\[0\]: expected a value that JSON can carry, got NaN"),
            (
                {"a": {"b": b"canary"}},
                r"^\$\.a\.b: expected a JSON value, got bytes; use None, bool, int, float, str, ",
            ),
            ({"a": [0, {"b": ({"c": object()},)}]}, r"^\$\.a\[1\]\.b\[0\]\.c: expected a JSON value, got object"),
            ([{1: "canary"}], r"^\$\[0\]: expected keys that are JSON text, got int$"),
            ("canary\ud800", r"^\$: expected a value that JSON can carry, got a lone surrogate$"),
            ({"canary\ud800": 1}, r"^\$: expected keys that are JSON text, got a lone surrogate$"),
            ([10**4300], r"^\$\[0\]: expected a value that JSON can carry, got an int of more than 4,300 digits$"),
            ([-(10**5000)], r"^\$\[0\]: expected a value that JSON can carry, got an int of more than 4,300 digits$"),
            ({"a": {"canary"}}, r"^\$\.a: expected a JSON value, got set; "),
            (Box(), r"^\$: expected a JSON value, got Box; "),
        ],
    )
    def test_refused(self, value: object, text: str) -> None:
        """A value that JSON can't carry is refused with the path to it, and without the value."""
        with pytest.raises(TypeError, match=text) as caught:
            freeze_json(value)
        assert "canary" not in str(caught.value)

    def test_the_largest(self) -> None:
        """Texts beyond ASCII and integers of 4,300 digits are carried."""
        assert ("é☃😀", 10**4300 - 1, 1 - 10**4300) == freeze_json(["é☃😀", 10**4300 - 1, 1 - 10**4300])


def holding_itself() -> list[object]:
    """Return a dict and a list that hold themselves."""
    looped: dict[str, object] = {}
    looped["a"] = [looped]
    return [looped, [looped]]


@pytest.mark.parametrize("value", holding_itself())
def test_what_holds_itself(value: object) -> None:
    """A mapping that contains itself has no copy: an error says so, and no RecursionError."""
    with pytest.raises(TypeError, match=r": expected a value of finite depth, got one that contains itself$"):
        frozen_copy(value)
    with pytest.raises(TypeError, match=r"^\$: expected a JSON value of finite depth, got one that contains itself$"):
        freeze_json(value)


def test_an_empty_mapping_is_filled_once() -> None:
    """The one that all messages without meta share can't be filled either."""
    empty: Any = FrozenMapping()
    with pytest.raises(TypeError, match="read-only"):
        empty.__init__(leak=1)
    assert {} == empty

"""Hypothesis strategies for messages, value objects and aggregates that respect validators (extra `testing`)."""

from collections.abc import Mapping
from datetime import UTC
from decimal import Decimal
from typing import Any, Final, TypeVar, get_origin

import attrs

try:
    from hypothesis import strategies as st
except ImportError as _error:
    raise ImportError(
        "domainkit.testing.strategies needs an extra: pip install 'domainkit-attrs[testing]'", name="testing"
    ) from _error
from hypothesis.strategies._internal.types import (
    _global_type_lookup as _registered,  # no public name: hypothesis 6.130 to 6.170
)

from domainkit._model.internals import MAX_LENGTH, MIN_LENGTH, NUMBER, OPTIONS, PATTERN
from domainkit._model.validators import flattened
from domainkit.conversion.classes import AttrsNode, Options
from domainkit.conversion.derive import Derivation, UnsupportedTypeError
from domainkit.conversion.json_values import JSON
from domainkit.conversion.nodes import Node
from domainkit.conversion.scalars import DATETIME, SCALARS, Scalar
from domainkit.conversion.wrappers import HookNode, RecursiveAlias
from domainkit.errors import DomainError
from domainkit.messages import Message, MessageHeader
from domainkit.values import Uuid

T = TypeVar("T")
Strategy = st.SearchStrategy[Any]  # Any: the type of some field

_TEXT: Final = st.text(st.characters(exclude_categories=["Cs"]))


def headers() -> st.SearchStrategy[MessageHeader]:
    """Return a strategy for headers: any id, any time, any JSON as meta.

    >>> from hypothesis import find
    >>> find(headers(), lambda header: bool(header.meta)).meta
    {'': None}
    """
    ids, meta = st.builds(Uuid, st.uuids()), st.dictionaries(_TEXT, JSON.samples(_Samples()), max_size=3)
    moments = DATETIME.samples(_Samples()).map(lambda moment: moment.astimezone(UTC))
    return st.builds(MessageHeader, id=ids, occurred_on=moments, meta=meta)


def instances(cls: type[T], **fields: Strategy) -> st.SearchStrategy[T]:
    """Return a strategy for instances of a message, value object, aggregate or any other attrs class.

    Each field gets values of its type that its validators accept: values are generated to match bounds, lengths,
    patterns and options of `attrs.validators`; those refused by other validators, or by rules on several fields, are
    filtered out. If a rule accepts too few values, pass strategies for its fields, or register one for the class.

    >>> from attrs import field, frozen
    >>> from attrs.validators import ge, le
    >>> from domainkit import ValueObject
    >>> from hypothesis import find
    >>> @frozen
    ... class Percent(ValueObject[int]):
    ...     value: int = field(validator=[ge(1), le(100)])
    >>> find(instances(Percent), lambda percent: percent.value > 50)
    Percent(value=51)

    Args:
        cls: the class.
        fields: your own strategies, by the fields' constructor parameters.

    Raises:
        TypeError: `fields` has an unknown name; or a field has a type without a strategy: pass one for it, or register
            one with `hypothesis.strategies.register_type_strategy`. Strategies registered for your own classes are
            used too.
    """
    made: type[Any] = get_origin(cls) or cls
    unknown = fields.keys() - {attribute.alias for attribute in attrs.fields(made) if attribute.init}
    if unknown:
        raise TypeError(f"instances: {made.__qualname__} has no field {', '.join(sorted(unknown))}; remove it")
    if issubclass(made, Message):
        fields = {"header": headers(), **fields}
    given = frozenset(attribute.name for attribute in attrs.fields(made) if attribute.alias in fields)
    try:
        parts = Derivation(Options(lenient=True, secrets=True)).parts(made, cls, given)
    except UnsupportedTypeError as error:
        raise TypeError(f"{error}; or pass a strategy for the field, as a keyword argument") from error
    samples = _Samples()
    found = {part.key: samples.constrained(part.node, part.attribute.validator) for part in parts}
    return samples.made(made, {**found, **fields})


_REFUSED: Final = object()


class _Samples:
    """Makes the strategies of related nodes; recursive classes share one strategy."""

    st: Any = st

    def __init__(self) -> None:
        self._known: dict[object, Strategy] = {}

    def of(self, node: Node) -> Strategy:
        """Return the strategy of a node, preferably one that the user registered for its class."""
        hint = getattr(node, "hint", None)
        if hint is not None and hint in _registered:
            return st.from_type(hint)
        if isinstance(node, HookNode) and isinstance(hint, type) and issubclass(hint, Message):
            return instances(hint)
        if not isinstance(node, AttrsNode | RecursiveAlias):
            return node.samples(self)  # type: ignore[no-any-return]  # nodes don't import hypothesis
        if hint not in self._known:
            self._known[hint] = st.deferred(lambda: made)
            made: Strategy = node.samples(self)
        return self._known[hint]

    def made(self, cls: type[Any], fields: Mapping[str, Any]) -> Strategy:
        """Return the strategy for objects that the constructor makes of these fields, unless it refuses them."""

        def make(values: Mapping[str, object]) -> object:
            try:
                return cls(**values)
            except (ValueError, TypeError, DomainError):  # raised by validators, and by rules on several fields
                return _REFUSED

        return st.fixed_dictionaries({**fields}).map(make).filter(lambda one: one is not _REFUSED)

    def constrained(self, node: Node, rule: Any) -> Strategy:
        """Return the strategy of a node within a validator of attrs, or bounds in `Annotated`, as far as known."""
        if isinstance(rule, tuple):
            signs = ((">=", "ge"), (">", "gt"), ("<=", "le"), ("<", "lt"))
            bounds = {
                sign: bound for meta in rule for sign, name in signs if (bound := getattr(meta, name)) is not None
            }
            shaped = _numbers(node, bounds)
        else:
            shaped = _shaped(node, flattened(rule))
        return self.of(node) if shaped is None else shaped


def _shaped(node: Node, rules: tuple[Any, ...]) -> Strategy | None:
    """Return a strategy for values that the validators of attrs accept; None without known ones for this type."""
    validators = {type(rule): rule for rule in rules}
    if OPTIONS in validators:
        return st.sampled_from(sorted(validators[OPTIONS].options, key=repr))
    if node is SCALARS[str] and PATTERN in validators:
        return st.from_regex(validators[PATTERN].pattern, fullmatch=True)
    if node in (SCALARS[str], SCALARS[bytes]) and (MIN_LENGTH in validators or MAX_LENGTH in validators):
        least = getattr(validators.get(MIN_LENGTH), "min_length", 0)
        most = getattr(validators.get(MAX_LENGTH), "max_length", None)
        text = st.text(st.characters(exclude_categories=["Cs"]), min_size=least, max_size=most)
        return text if node is SCALARS[str] else st.binary(min_size=least, max_size=most)
    return _numbers(node, {rule.compare_op: rule.bound for rule in rules if type(rule) is NUMBER})


def _numbers(node: Node, bounds: Mapping[str, Any]) -> Strategy | None:
    least, most = bounds.get(">=", bounds.get(">")), bounds.get("<=", bounds.get("<"))
    if not bounds or not isinstance(node, Scalar):
        return None
    if node.cls is int:
        return st.integers(least, most)
    make: Any = {float: st.floats, Decimal: st.decimals}.get(node.cls)
    return None if make is None else make(least, most, allow_nan=False, allow_infinity=False)

"""The node of JsonValue: any JSON, for fields whose content is defined elsewhere."""

from copy import copy
from functools import cached_property
from types import NoneType
from typing import Final

from domainkit._model.mapping import JsonValue, freeze_json, frozen_copy
from domainkit._speedups.code import Function
from domainkit.conversion.collections import MappingNode, VariadicTupleNode
from domainkit.conversion.nodes import Node, Samples, Schema, Schemas, Strategy
from domainkit.conversion.scalars import SCALARS
from domainkit.conversion.unions import UnionByHand
from domainkit.conversion.wrappers import RecursiveAlias


class JsonNode(RecursiveAlias):
    """Any JSON, read-only at every depth: a union of the nodes of null, bool, int, float, str, arrays and objects."""

    def __init__(self) -> None:
        super().__init__(JsonValue)
        self.expected: str = "a JSON value"
        number = copy(SCALARS[float])
        number.kinds = frozenset({"float"})  # without int, which has its own node here
        array = VariadicTupleNode(self)
        array.object_classes = (tuple, list)  # a plain attrs class doesn't turn a list into a tuple
        scalars = [SCALARS[cls] for cls in (NoneType, bool, int, str)]
        self.target: Node = UnionByHand((*scalars, number, array, MappingNode(SCALARS[str], self)))
        self.target.expected = self.expected
        self.kinds: frozenset[str] = self.target.kinds
        self.object_classes: tuple[type, ...] = self.target.object_classes

    @cached_property
    def load(self) -> Function:
        """Copy the output of a JSON parser; it needs no check."""
        return frozen_copy

    @cached_property
    def dump(self) -> Function:
        """Copy the value; raise TypeError if it isn't JSON."""
        return freeze_json

    def schema(self, schemas: Schemas) -> Schema:  # noqa: ARG002  # the same in every document
        return {}

    def samples(self, samples: Samples) -> Strategy:
        st = samples.st
        scalars = st.one_of(*(samples.of(SCALARS[cls]) for cls in (NoneType, bool, int, float, str)))
        keys = samples.of(SCALARS[str])
        values = st.recursive(
            scalars,
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
            max_leaves=5,
        )
        return values.map(frozen_copy)


JSON: Final = JsonNode()
"""The only instance, since the node has no options."""

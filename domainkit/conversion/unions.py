"""The nodes of unions, whose members are distinguished by their JSON kinds, or by a tag that the author chose."""

from collections.abc import Callable, Iterable, Mapping
from typing import Union

from attrs import field, frozen

from domainkit._model.mapping import FrozenMapping
from domainkit._speedups.code import Code
from domainkit.conversion.nodes import (
    MISSING,
    ByHand,
    Node,
    Problems,
    Samples,
    Schema,
    Schemas,
    Strategy,
    json_kind,
)
from domainkit.conversion.wrappers import kept_kind


def _branches(code: Code, value: str, ways: Iterable[tuple[tuple[type, ...], Callable[[Code, str], str]]]) -> str:
    """Add the lines that choose a branch by the class of a value; the last branch is for any other class.

    Args:
        code: the function.
        value: the variable that has the value.
        ways: the branches: classes, and a function that adds the lines for values of these classes.
    """
    made, kind = code.variable("made"), code.variable("kind")
    code.add(f"{kind} = type({value})")
    *others, (_, last) = ways
    for number, (classes, lines) in enumerate(others):
        with code.block(f"{'elif' if number else 'if'} {kind} in {code.name(classes, 'classes')}:"):
            expression = lines(code, value)
            code.add(f"{made} = {expression}")
    with code.block("else:"):
        expression = last(code, value)
        code.add(f"{made} = {expression}")
    return made


class UnionNode(Node):
    """A union whose members differ in their JSON kinds, such as `Title | None` or `int | str`."""

    def __init__(self, nodes: tuple[Node, ...]) -> None:
        self.nodes: tuple[Node, ...] = nodes
        super().__init__(
            Union[tuple(node.wire for node in nodes)],  # noqa: UP007  # the members are only known at run time
            " or ".join(node.expected for node in nodes),
            frozenset[str]().union(*(node.kinds for node in nodes)),
            object_classes=tuple(cls for node in nodes for cls in node.object_classes),
            levels=max(node.levels for node in nodes),
            same=all(node.same for node in nodes),
        )
        self._narrow_first = sorted(nodes, key=lambda node: len(node.kinds))  # a user's own hook reads any kind

    @property
    def wire_classes(self) -> tuple[type, ...]:
        """The wire classes of the members, looked up late: the struct of a class that contains itself is made last."""
        return tuple(cls for node in self.nodes for cls in node.wire_classes)

    def load_lines(self, code: Code, wire: str) -> str:
        if self.same:
            return wire
        return _branches(code, wire, [(node.wire_classes, node.load_lines) for node in self._narrow_first])

    def dump_lines(self, code: Code, value: str) -> str:
        return _branches(code, value, [(node.object_classes, node.dump_lines) for node in self._narrow_first])

    def read(self, data: object, path: str, problems: Problems) -> object:
        kind = json_kind(data)
        if kind == "object" and isinstance(data, Mapping) and data.keys() == {"value"}:
            kept = kept_kind(json_kind(data["value"]))
            kind = kept if kept in self.kinds else kind
        for node in self._narrow_first:
            if kind in node.kinds or (problems.native and type(data) in node.object_classes):
                return node.read(data, path, problems)
        return self.wrong_type(path, problems)

    def write(self, value: object, path: str, problems: Problems) -> object:
        for node in sorted(self.nodes, key=lambda one: type(value) not in one.object_classes):  # bool before int: True
            tried = Problems(problems.limit - len(problems))
            wire = node.write(value, path, tried)
            if wire is not MISSING:
                return wire
            if isinstance(value, node.object_classes):
                problems.extend(tried)
                return MISSING
        return self.wrong_type(path, problems)

    def schema(self, schemas: Schemas) -> Schema:
        return {"anyOf": [schemas.schema(member) for member in self.nodes]}

    def samples(self, samples: Samples) -> Strategy:
        return samples.st.one_of(*map(samples.of, self.nodes))


class UnionByHand(ByHand, UnionNode):
    """A union with a member that is any JSON for msgspec, which therefore can't distinguish the other members."""


@frozen(init=False)
class Tagged:
    """Marker of a tagged union: a key of each JSON object names the class of the object.

    In `Annotated[Card | Transfer, Tagged("kind", card=Card, transfer=Transfer)]`, each object has an additional key
    `kind`, whose value is `card` or `transfer`. The names are explicit, so that renaming a class changes nothing on the
    wire.

    >>> from attrs import frozen
    >>> @frozen
    ... class Card:
    ...     number: str
    >>> @frozen
    ... class Transfer:
    ...     iban: str
    >>> Tagged("kind", card=Card, transfer=Transfer).classes["card"] is Card
    True

    Args:
        key: the key of the tag.
        classes: the attrs classes by their names in the tag; a generic class with its argument, such as Box[int].

    Raises:
        TypeError: there are fewer than two classes, or one of them has two names.
    """

    key: str
    classes: Mapping[str, type] = field()

    def __init__(self, key: str, /, **classes: type) -> None:
        if len(classes) < 2 or len(set(classes.values())) < len(classes):
            raise TypeError(
                f"Tagged({key!r}, ...): expected two or more classes, each once, got {len(classes)} names of "
                f'{len(set(classes.values()))} classes; name each class of the union once, such as Tagged("kind", '
                "card=Card, transfer=Transfer)"
            )
        self.__attrs_init__(key=key, classes=FrozenMapping(classes))  # pyright: ignore[reportAttributeAccessIssue]  # attrs' own


class TaggedNode(Node):
    """A tagged union: msgspec reads the tag, and the struct that it returns determines the class."""

    def __init__(self, key: str, nodes: Mapping[str, Node]) -> None:
        self.key: str = key
        self.nodes: Mapping[str, Node] = nodes
        super().__init__(
            Union[tuple(node.wire for node in nodes.values())],  # noqa: UP007  # known at run time only
            f"an object whose {key!r} is one of {', '.join(nodes)}",
            frozenset({"object"}),
            object_classes=tuple(cls for node in nodes.values() for cls in node.object_classes),
            levels=max(node.levels for node in nodes.values()),
        )

    @property
    def wire_classes(self) -> tuple[type, ...]:
        """The structs of the members, looked up late: that of a class that contains itself is made last."""
        return tuple(cls for node in self.nodes.values() for cls in node.wire_classes)

    def load_lines(self, code: Code, wire: str) -> str:
        return _branches(code, wire, [(node.wire_classes, node.load_lines) for node in self.nodes.values()])

    def dump_lines(self, code: Code, value: str) -> str:
        return _branches(code, value, [(node.object_classes, node.dump_lines) for node in self.nodes.values()])

    def read(self, data: object, path: str, problems: Problems) -> object:
        if problems.native and type(data) in self.object_classes:
            return next(node for node in self.nodes.values() if type(data) in node.object_classes).read(
                data, path, problems
            )
        if not isinstance(data, Mapping):
            return self.wrong_type(path, problems)
        tag, names = data.get(self.key, MISSING), f"one of {', '.join(self.nodes)}"
        if not isinstance(tag, str):
            return problems.add(f"{path}.{self.key}", names, "missing" if tag is MISSING else "type")
        if tag not in self.nodes:
            return problems.add(f"{path}.{self.key}", names, "value")
        return self.nodes[tag].read({key: item for key, item in data.items() if key != self.key}, path, problems)

    def write(self, value: object, path: str, problems: Problems) -> object:
        for name, node in self.nodes.items():
            if isinstance(value, node.object_classes):
                wire = node.write(value, path, problems)
                if wire is MISSING:
                    return MISSING
                if not isinstance(wire, Mapping) or self.key in wire:
                    return problems.add(path, f"an object without the key {self.key!r}, which the tag needs", "type")
                return {self.key: name, **wire}
        return problems.add(path, " or ".join(cls.__qualname__ for cls in self.object_classes), "type")

    def schema(self, schemas: Schemas) -> Schema:
        return {"oneOf": [schemas.schema(member) for member in self.nodes.values()]}

    def samples(self, samples: Samples) -> Strategy:
        return samples.st.one_of(*map(samples.of, self.nodes.values()))


class TaggedByHand(ByHand, TaggedNode):
    """A tagged union in which a user's own hooks convert some members, for which msgspec has no struct."""

    def schema(self, schemas: Schemas) -> Schema:
        tagged = (
            {"allOf": [schemas.schema(node)], "properties": {self.key: {"const": name}}, "required": [self.key]}
            for name, node in self.nodes.items()
        )
        return {"oneOf": list(tagged)}

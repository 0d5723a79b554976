"""Classes of expressions, as far as known from annotations and constructors; None if unknown."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import libcst as cst
from attrs import field, frozen
from libcst import matchers as m
from libcst.helpers import get_full_name_for_node

from domainkit.cli._petisco.project import Project, Source, Type, code_of, fields_of, methods_of

_RESULT = "meiga.Result"
_UNWRAPPING = frozenset({"unwrap", "unwrap_or_return", "unwrap_or_raise", "unwrap_or_throw"})
_MADE_BY = frozenset({"v4", "from_value", "from_str", "from_uuid"})
_BOOL = Type("meiga.BoolResult")
_LITERALS = (cst.List, cst.ListComp, cst.Dict, cst.Set, cst.BaseString, cst.BaseNumber)


def _answer_of(port: Type, method: str) -> Type | None:
    """Return the result type of a method of petisco's CrudRepository."""
    aggregate = port.args[0] if port.args else None
    if method in {"save", "update", "remove"}:
        return _BOOL
    if method == "retrieve":
        return Type(_RESULT, (aggregate,))
    return Type(_RESULT, (Type("list", (aggregate,)),)) if method == "retrieve_all" else None


@frozen(eq=False)
class Scope:
    """Variables of a function or module."""

    project: Project
    source: Source
    owner: Type | None = None
    """The class of the method."""
    outer: "Scope | None" = None
    facts: Mapping[cst.CSTNode, bool] = field(factory=dict)
    """The uses of a Result that are known to be a Success (True) or a Failure (False)."""
    _known: dict[str, Type | None] = field(factory=dict)
    _made: dict[str, bool] = field(factory=dict)

    @classmethod
    def of(cls, node: cst.Module | cst.FunctionDef, outer: "Scope", owner: Type | None) -> "Scope":
        """Return the scope of a module or function inside of another scope of the same file and project."""
        scope = cls(outer.project, outer.source, owner, outer, outer.facts)
        body: Sequence[cst.CSTNode] = node.body if isinstance(node, cst.Module) else node.body.body
        if isinstance(node, cst.FunctionDef):
            scope._take(node)
        for statement in body:
            if not isinstance(statement, cst.FunctionDef | cst.ClassDef):
                for one in _bindings(statement, _BINDING):
                    scope._learn(one)
        return scope

    def _take(self, function: cst.FunctionDef) -> None:
        """Learn the types of the parameters of a function."""
        params = function.params
        for param in (*params.posonly_params, *params.params, *params.kwonly_params):
            hint = param.annotation.annotation if param.annotation else None
            self._known[param.name.value] = self.project.type_of(self.source, hint) if hint else None
        if self.owner and params.params and not any(m.matches(one, _STATIC) for one in function.decorators):
            self._known[params.params[0].name.value] = self.owner

    def _learn(self, node: "_Binding") -> None:
        """Learn the type of the variable that a statement sets."""
        target = node.targets[0].target if isinstance(node, cst.Assign) else node.target
        for inner in _bindings(node.value, m.CompFor(m.Name())) if isinstance(node, cst.Assign) else ():
            self._learn(inner)
        if isinstance(node, cst.Assign):
            found = self.type_of(node.value)
        elif isinstance(node, cst.AnnAssign):
            found = self.project.type_of(self.source, node.annotation.annotation)
        else:
            several = self.type_of(node.iter)
            found = several.args[0] if several and several.args else None
        name = code_of(target)
        is_made = isinstance(node, cst.Assign | cst.AnnAssign) and isinstance(node.value, cst.Call | cst.Await)
        self._made[name] = is_made and self._made.get(name, name not in self._known)
        self._known[name] = found if self._known.get(name, found) == found else None

    def has(self, name: str) -> bool:
        """Check if a name is a variable of this very scope."""
        return name in self._known

    def makes(self, name: str) -> bool:
        """Check if a variable of this scope only gets results of calls, so that no other code has its object."""
        return self._made.get(name, False)

    def type_of(self, node: cst.BaseExpression) -> Type | None:
        """Return the class of an expression."""
        if isinstance(node, cst.Name):
            scope: Scope | None = self
            while scope and node.value not in scope._known:
                scope = scope.outer
            return scope._known[node.value] if scope else None
        if isinstance(node, cst.Await):
            return self.type_of(node.expression)
        if isinstance(node, cst.Attribute):
            owner = self.type_of(node.value)
            if owner and node.attr.value == "value" and self.project.is_a(owner, _RESULT):
                return owner.args[0] if self.facts.get(node) and owner.args else None
            named = self.class_of(node.value)
            is_constant = named is not None and named.node is not None and node.attr.value.isupper()  # of an Enum
            return named if is_constant else self._member(owner, node.attr.value) if owner else None
        if isinstance(node, cst.Call):
            return self._called(node.func)
        elements = (self.type_of(node.elt),) if isinstance(node, cst.ListComp) else ()
        return Type(type(node).__name__, elements) if isinstance(node, _LITERALS) else None

    def class_of(self, node: cst.BaseExpression) -> Type | None:
        """Return the class that an expression names, for a call of it or of one of its methods."""
        if m.matches(node, m.Name("cls")):
            return self.owner
        dotted = get_full_name_for_node(node)
        if (
            not isinstance(node, cst.Name | cst.Attribute | cst.Subscript)
            or not dotted
            or self.has(dotted.split(".")[0])
        ):
            return None
        found = self.project.type_of(self.source, node)
        return found if found and (found.node or found.name.split(".")[0] in {"petisco", "meiga"}) else None

    def _called(self, func: cst.BaseExpression) -> Type | None:
        """Return the class of the result of a call."""
        made = self.class_of(func)
        if made is not None:
            return made
        if isinstance(func, cst.Name):
            found = self.project.type_named(self.source, func.value)
            function = found.of.functions.get(found.last) if found.of else None
            return self._returned(found.of, function)
        if not isinstance(func, cst.Attribute):
            return None
        named = self.class_of(func.value)
        if named and func.attr.value in _MADE_BY and self.project.is_a(named, "petisco.Uuid", "petisco.ValueObject"):
            return named
        owner = named or self.type_of(func.value)
        return self._member(owner, func.attr.value) if owner else None

    def _returned(self, source: Source | None, function: cst.FunctionDef | None) -> Type | None:
        return (
            self.project.type_of(source, function.returns.annotation)
            if source and function and function.returns
            else None
        )

    def _member(self, owner: Type, name: str) -> Type | None:
        """Return the class of an attribute, or of the result of a method."""
        for base in self.project.bases(owner):
            if base.of and base.node:
                found = self._defined(base.of, base.node, name)
                if found:
                    return found
            elif base.name == _RESULT and name in _UNWRAPPING:
                return base.args[0] if base.args else None
            elif base.name == "petisco.CrudRepository" and (answer := _answer_of(base, name)):
                return answer
        is_id = name == "aggregate_id" and self.project.is_a(owner, "petisco.AggregateRoot")
        return self.project.id_of(owner) if is_id else None

    def _defined(self, source: Source, cls: cst.ClassDef, name: str) -> Type | None:
        methods, fields = methods_of(cls), fields_of(cls)
        if name in fields:
            return self.project.type_of(source, fields[name].annotation.annotation)
        if name in methods:
            return self._returned(source, methods[name])
        if "__init__" not in methods:
            return None
        for one in m.findall(
            methods["__init__"], m.Assign([m.AssignTarget(m.Attribute(m.Name("self"), m.Name(name)))])
        ):
            value = cst.ensure_type(one, cst.Assign).value
            if not m.findall(value, m.Name("self")):
                return Scope.of(methods["__init__"], Scope(self.project, source), None).type_of(value)
        return None


_Binding: TypeAlias = cst.Assign | cst.AnnAssign | cst.For | cst.CompFor
_BINDING = m.Assign([m.AssignTarget(m.Name())]) | m.AnnAssign(m.Name()) | m.For(m.Name()) | m.CompFor(m.Name())
_STATIC = m.Decorator(m.Name("staticmethod"))


def _bindings(node: cst.CSTNode, matcher: m.BaseMatcherNode) -> Iterator[_Binding]:
    return (one for one in m.findall(node, matcher) if isinstance(one, _Binding))

"""Rewriting of one file: visits each node, and calls the functions of its family's file."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import libcst as cst
from libcst import matchers as m
from libcst.metadata import PositionProvider, QualifiedNameProvider, QualifiedNameSource

from domainkit.cli._petisco import application, changes, models, references, results
from domainkit.cli._petisco.imports import imported
from domainkit.cli._petisco.names import ROOTS
from domainkit.cli._petisco.project import Project, Source, Type, module_name
from domainkit.cli._petisco.rewriting import SUBSCRIBERS, Rewriting
from domainkit.cli._petisco.types import Scope

_NOT_ALWAYS = m.IfExp() | m.BooleanOperation() | m.Lambda() | m.CompFor()
"""Expressions with a part that may not run, or may run several times."""


def rewritten(project: Project, source: Source) -> tuple[bytes, list[tuple[int, str]]]:
    """Return the rewritten text of a file, and the places left to a person, by line of the old text."""
    if source.bindings.get("*", "").split(".")[0] in ROOTS:
        return source.module.bytes, [(1, "import *: nothing is rewritten in this file; import each name")]
    positions = source.wrapper.resolve(PositionProvider)
    names = source.wrapper.resolve(QualifiedNameProvider)
    at = Rewriting(project, source, lambda node: positions[node].start.line, lambda node: _imported_name(names, node))
    module = source.module.visit(_Rewriter(at))
    if taken := sorted(name for home, name in at.needs if _is_taken(source, home, name)):
        text = "defined here, but the rewriting needs the name; nothing is rewritten in this file; rename yours"
        return source.module.bytes, [(1, f"{', '.join(taken)}: {text}")]
    references.leave_imports(at)
    return imported(module, at.gone, at.modules, at.needs).bytes, sorted(at.left)


def _imported_name(names: Mapping[cst.CSTNode, Any], node: cst.CSTNode) -> str | None:  # Any: libcst's, or lazy
    found = names.get(node, ())
    every: Any = found() if callable(found) else found  # Any: as above
    dotted = [one.name for one in every if one.source is QualifiedNameSource.IMPORT]
    return dotted[0] if dotted and dotted[0].split(".")[0] in ROOTS else None


def _is_taken(source: Source, home: str, name: str) -> bool:
    bound = source.bindings.get(name, f"{home}.{name}")
    is_other = bound != f"{home}.{name}" and bound.split(".")[0] not in ROOTS
    return is_other or name in source.classes or name in source.functions


class _Rewriter(cst.CSTTransformer):
    """Visits each node, and calls its functions in `_ENTERED` and `_LEFT`."""

    def __init__(self, at: Rewriting) -> None:
        super().__init__()
        self._at = at
        self._heads: list[list[cst.SimpleStatementLine]] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        entered = _ENTERED.get(type(node))
        if entered:
            entered(self._at, node)
        return not isinstance(node, cst.Import | cst.ImportFrom)

    def on_leave(self, original_node: Any, updated_node: Any) -> Any:  # Any: each kind of node has its own function
        if isinstance(original_node, cst.For):
            return _after(self._heads.pop(), updated_node)
        left = _LEFT.get(type(original_node))
        return left(self._at, original_node, updated_node) if left else updated_node

    def visit_For_iter(self, node: cst.For) -> None:
        self._at.may_pull = not m.findall(node.iter, _NOT_ALWAYS)

    def leave_For_iter(self, node: cst.For) -> None:
        self._at.may_pull = False
        self._heads.append(changes.pulling(self._at))


def _enter_scope(at: Rewriting, node: cst.Module | cst.FunctionDef) -> None:
    body: Sequence[cst.CSTNode] = node.body if isinstance(node, cst.Module) else node.body.body
    results.learn(at, body, {})
    outer = at.scopes[-1] if at.scopes else Scope(at.project, at.source, facts=at.facts)
    is_method = at.owner.node is not None and node in at.owner.node.body.body
    at.scopes.append(Scope.of(node, outer, at.owner if is_method else None))


def _enter_class(at: Rewriting, node: cst.ClassDef) -> None:
    name = f"{module_name(at.source.path)}.{node.name.value}"
    is_known = at.source.classes[node.name.value] is node
    at.classes.append(Type(name, of=at.source) if is_known else Type(""))
    at.skipped |= {arg.value for arg in node.bases if at.named(arg.value) in SUBSCRIBERS}
    if node.bases and not is_known:
        at.leave(node, f"{node.name.value}: two classes of this file have the name; rename one")


def _enter_function(at: Rewriting, node: cst.FunctionDef) -> None:
    at.functions.append(node)
    _enter_scope(at, node)
    if at.has_guard(node):
        at.skipped |= {one.decorator for one in node.decorators if at.is_early(one)}


def _enter_line(at: Rewriting, node: cst.SimpleStatementLine) -> None:
    at.may_pull = not m.findall(node, _NOT_ALWAYS)


def _enter_assign(at: Rewriting, node: cst.Assign) -> None:
    at.valued.add(node.value)
    if m.matches(node, m.Assign([m.AssignTarget(m.Name())])):
        at.unpacked.add(node.value)


def _enter_return(at: Rewriting, node: cst.Return) -> None:
    at.valued |= {node.value} if node.value else set()
    at.skipped |= {node.value} if node.value and results.is_missing_method(at, node) else set()


def _enter_annotation(at: Rewriting, node: cst.Annotation) -> None:
    at.annotations += 1


def _enter_try(at: Rewriting, node: cst.Try) -> None:
    at.tries += 1


def _enter_handler(at: Rewriting, node: cst.ExceptHandler) -> None:
    if at.named(node.type) == "meiga.Error":
        at.leave(node, "except Error: it doesn't catch an early return here; catch UnwrapFailedError of returns, too")


def _leave_class(at: Rewriting, original: cst.ClassDef, updated: cst.ClassDef) -> cst.ClassDef:
    updated = application.defined(at, original, models.defined(at, original, updated))
    at.classes.pop()
    return updated


def _leave_function(at: Rewriting, original: cst.FunctionDef, updated: cst.FunctionDef) -> cst.FunctionDef:
    updated = changes.function(at, models.function(at, original, updated))
    updated = application.function(at, original, updated)
    at.functions.pop()
    at.scopes.pop()
    return updated


def _leave_annotation(at: Rewriting, original: cst.Annotation, updated: cst.Annotation) -> cst.Annotation:
    at.annotations -= 1
    return updated


def _leave_try(at: Rewriting, original: cst.Try, updated: cst.Try) -> cst.Try:
    at.tries -= 1
    return updated


def _leave_line(
    at: Rewriting, original: cst.SimpleStatementLine, updated: cst.SimpleStatementLine
) -> Any:  # Any: one, several or none
    at.may_pull = False
    return cst.RemoveFromParent() if models.is_id_field(at, original) else _after(changes.pulling(at), updated)


def _after(before: list[cst.SimpleStatementLine], statement: Any) -> Any:  # Any: of either kind, alone or after others
    """Return a statement after those that pull its events; comments above it stay at the top."""
    if not before:
        return statement
    first = before[0].with_changes(leading_lines=statement.leading_lines)
    return cst.FlattenSentinel([first, *before[1:], statement.with_changes(leading_lines=())])


def _leave_return(at: Rewriting, original: cst.Return, updated: cst.Return) -> cst.BaseSmallStatement:
    if results.is_missing_method(at, original):
        return cst.Raise(cst.Name("NotImplementedError"))
    return changes.returned(at, models.returned(at, updated))


def _leave_expression(at: Rewriting, original: cst.Expr, updated: cst.Expr) -> cst.BaseSmallStatement:
    return results.asserted(at, original, updated) or changes.expression(at, original, updated)


def _leave_call(at: Rewriting, original: cst.Call, updated: cst.Call) -> cst.BaseExpression:
    families = (application.called, results.called, changes.called)
    found = (family(at, original, updated) for family in families)
    return next((made for made in found if made is not None), updated)


def _leave_not(at: Rewriting, original: cst.UnaryOperation, updated: cst.UnaryOperation) -> cst.BaseExpression:
    """Return the replacement for `not x.is_failure` without a double `not`."""
    inner = updated.expression
    is_twice = isinstance(inner, cst.UnaryOperation) and isinstance(original.expression, cst.Attribute)
    return inner.expression if is_twice and isinstance(inner, cst.UnaryOperation) else updated


_ENTERED: Mapping[type, Callable[[Rewriting, Any], None]] = (
    MappingProxyType(  # Any: a node of the class that is the key
        {
            cst.Module: _enter_scope,
            cst.ClassDef: _enter_class,
            cst.FunctionDef: _enter_function,
            cst.SimpleStatementLine: _enter_line,
            cst.ImportFrom: lambda at, node: at.imports.append(node),
            cst.Assign: _enter_assign,
            cst.Return: _enter_return,
            cst.Annotation: _enter_annotation,
            cst.Try: _enter_try,
            cst.ExceptHandler: _enter_handler,
        }
    )
)
_LEFT: Mapping[type, Callable[[Rewriting, Any, Any], Any]] = MappingProxyType(  # Any: as above, and its replacement
    {
        cst.ClassDef: _leave_class,
        cst.FunctionDef: _leave_function,
        cst.Annotation: _leave_annotation,
        cst.Try: _leave_try,
        cst.SimpleStatementLine: _leave_line,
        cst.IndentedBlock: lambda _, original, updated: changes.block(original, updated),
        cst.Expr: _leave_expression,
        cst.Assign: changes.assigned,
        cst.AugAssign: changes.augmented,
        cst.AnnAssign: models.annotated,
        cst.Return: _leave_return,
        cst.Raise: results.raised,
        cst.Name: references.name,
        cst.Attribute: references.attribute,
        cst.SimpleString: references.quoted,
        cst.Call: _leave_call,
        cst.Comparison: results.compared,
        cst.Subscript: application.subscript,
        cst.UnaryOperation: _leave_not,
    }
)

"""The rewriting of one file from its top to its end: what a node becomes, the file of its family says."""

import re
from collections.abc import Sequence
from typing import TypeVar

import libcst as cst
from libcst import matchers as m
from libcst.metadata import PositionProvider, QualifiedNameProvider, QualifiedNameSource

from domainkit.cli._petisco import application, models, results
from domainkit.cli._petisco.imports import imported
from domainkit.cli._petisco.names import EXPRESSIONS, ROOTS, canonical, remedy, successor
from domainkit.cli._petisco.project import Project, Source, Type, bound_by, module_name
from domainkit.cli._petisco.rewriting import Rewriting, code_of
from domainkit.cli._petisco.types import Scope

_NOT_ALWAYS = m.IfExp() | m.BooleanOperation() | m.Lambda() | m.CompFor()
"""The expressions a part of which may not run, or run several times."""
_Statement = TypeVar("_Statement", cst.SimpleStatementLine, cst.For)
Left = tuple[int, str]
"""A line that a person looks at, and what to do there."""


def rewritten(project: Project, source: Source) -> tuple[bytes, tuple[Left, ...]]:
    """Return the text of a file as domainkit has it, and what is left to a person, by line of the old text."""
    rewriter = _Rewriter(project, source)
    if "*" in source.bindings and source.bindings["*"].split(".")[0] in ROOTS:
        return source.module.bytes, ((1, "import *: nothing in this file is rewritten; import each name"),)
    module, at = source.module.visit(rewriter), rewriter.at
    if taken := {name for home, name in at.needs if _is_taken(source, home, name)}:
        text = f"{', '.join(sorted(taken))}: the name is needed, and taken in this file, in which nothing is rewritten; rename it"
        return source.module.bytes, ((1, text),)
    rewriter.leave_imports()
    module = imported(module, rewriter.gone, frozenset(rewriter.modules), at.needs)
    return module.bytes, tuple(sorted(at.left))


def _is_taken(source: Source, home: str, name: str) -> bool:
    bound = source.bindings.get(name, f"{home}.{name}")
    is_other = bound != f"{home}.{name}" and bound.split(".")[0] not in ROOTS
    return is_other or name in source.classes or name in source.functions


class _Rewriter(cst.CSTTransformer):
    def __init__(self, project: Project, source: Source) -> None:
        super().__init__()
        positions = source.wrapper.resolve(PositionProvider)
        self._names = source.wrapper.resolve(QualifiedNameProvider)
        self.at = Rewriting(project, source, lambda node: positions[node].start.line)
        self.used: set[str] = set()
        self.dropped: set[str] = set()
        self.modules: set[str] = set()
        self._imports: list[cst.ImportFrom] = []
        self._skipped: set[cst.CSTNode] = set()
        self._annotations = 0
        self._heads: list[list[cst.SimpleStatementLine]] = []

    # names

    def _name_of(self, node: cst.CSTNode) -> str | None:
        """Return the dotted path that an imported name of petisco or meiga stands for."""
        found = self._names.get(node, ())
        names = [
            one.name for one in (found() if callable(found) else found) if one.source is QualifiedNameSource.IMPORT
        ]
        return names[0] if names and names[0].split(".")[0] in ROOTS else None

    def visit_ImportFrom(self, node: cst.ImportFrom) -> bool:
        self._imports.append(node)
        return False

    def visit_Import(self, node: cst.Import) -> bool:
        return False

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:
        dotted = self._name_of(original_node)
        if dotted is None or dotted in ROOTS:
            return updated_node
        name = canonical(dotted)
        (self.dropped if original_node in self._skipped else self.used).add(name)
        if name in EXPRESSIONS:
            return self._written_out(name)
        _, last = successor(name) or ("", "")
        is_renamed = last and name.rpartition(".")[2] == original_node.value != last
        return self.at.made(last) if is_renamed else updated_node

    def _written_out(self, name: str) -> cst.BaseExpression:
        return results.success(self.at) if name == "meiga.isSuccess" else self.at.made(EXPRESSIONS[name])

    def _of_module(self, original: cst.Attribute, updated: cst.Attribute, root: str) -> cst.BaseExpression:
        """Return what takes the place of `petisco.Uuid` or `meiga.Result`."""
        name = f"{root}.{original.attr.value}"
        home, last = successor(name) or ("", "")
        if name in EXPRESSIONS:
            return self._written_out(name)
        if home == "domainkit":
            self.modules.add("domainkit")
            return updated.with_changes(value=cst.Name("domainkit"), attr=cst.Name(last))
        if home:
            return self.at.made(last)
        if original not in self._skipped:
            self.modules.add(root)
            self.at.leave(original, f"{name}: nothing takes its place; {remedy(name)}")
        return updated

    def visit_Annotation(self, node: cst.Annotation) -> None:
        self._annotations += 1

    def leave_Annotation(self, original_node: cst.Annotation, updated_node: cst.Annotation) -> cst.Annotation:
        self._annotations -= 1
        return updated_node

    def leave_SimpleString(self, original_node: cst.SimpleString, updated_node: cst.SimpleString) -> cst.SimpleString:
        text = updated_node.value
        for name, dotted in self.at.source.bindings.items() if self._annotations else ():
            whole = canonical(dotted)
            last = EXPRESSIONS.get(whole) or (successor(whole) or ("", name))[1]
            if dotted.split(".")[0] in ROOTS and whole.endswith(f".{name}") and re.search(rf"\b{name}\b", text):
                text = re.sub(rf"\b{name}\b", code_of(self.at.made(last)), text)
        return updated_node.with_changes(value=text)

    def leave_imports(self) -> None:
        """Leave the imports to a person of what nothing takes the place of."""
        for node in self._imports:
            by_remedy: dict[str, list[str]] = {}
            for name, dotted in bound_by(node, self.at.source.path):
                whole = canonical(dotted)
                has_no_heir = successor(whole) is None and whole not in EXPRESSIONS and whole not in self.gone
                if dotted.split(".")[0] in ROOTS and has_no_heir:
                    by_remedy.setdefault(remedy(whole), []).append(name)
            for text, names in by_remedy.items():
                self.at.leave(node, f"{', '.join(names)}: nothing takes its place; {text}")

    @property
    def gone(self) -> frozenset[str]:
        """The names that the file doesn't use any more."""
        return frozenset(self.dropped - self.used)

    # where it is

    def visit_Module(self, node: cst.Module) -> None:
        self._enter(node, node.body)

    def visit_ClassDef(self, node: cst.ClassDef) -> None:
        is_known = self.at.source.classes[node.name.value] is node
        name = f"{module_name(self.at.source.path)}.{node.name.value}"
        self.at.classes.append(Type(name, of=self.at.source) if is_known else Type(f"another {name}"))
        if not is_known and node.bases:
            self.at.leave(node, f"{node.name.value}: two classes of this file have the name; rename one")
        for arg in node.bases:
            named = self.at.project.type_of(self.at.source, arg.value)
            if named and named.name in application.SUBSCRIBERS:
                self._skipped.add(arg.value)

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        self.at.functions.append(node)
        self._enter(node, node.body.body)
        if application.drops_early_return(self.at, node):
            self._skipped |= {one.decorator for one in node.decorators if self.at.returns_early(one)}

    def _enter(self, node: cst.Module | cst.FunctionDef, body: Sequence[cst.CSTNode]) -> None:
        outer = self.at.scopes[-1] if self.at.scopes else None
        results.learn(self.at, body, {})
        self.at.scopes.append(Scope.of(self.at.project, self.at.source, self.at.owner, node, outer, self.at.facts))

    def visit_Try(self, node: cst.Try) -> None:
        self.at.tries.append(node)

    def leave_Try(self, original_node: cst.Try, updated_node: cst.Try) -> cst.Try:
        self.at.tries.pop()
        return updated_node

    def visit_ExceptHandler(self, node: cst.ExceptHandler) -> None:
        if node.type and self._name_of(node.type) == "meiga.Error":
            self.at.leave(node, "except Error: an early return passes it here; catch UnwrapFailedError of returns too")

    def visit_Assign(self, node: cst.Assign) -> None:
        self.at.valued.add(node.value)
        if m.matches(node, m.Assign([m.AssignTarget(m.Name())])):
            self.at.valued_by_name.add(node.value)

    def visit_Return(self, node: cst.Return) -> None:
        if node.value:
            self.at.valued.add(node.value)
            if results.is_missing_method(self.at, node):
                self._skipped.add(node.value)

    # definitions

    def leave_ClassDef(self, original_node: cst.ClassDef, updated_node: cst.ClassDef) -> cst.ClassDef:
        owner = self.at.classes[-1]
        updated_node = models.defined(self.at, owner, original_node, updated_node)
        updated_node = application.defined(self.at, owner, original_node, updated_node)
        self.at.classes.pop()
        return updated_node

    def leave_FunctionDef(self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef) -> cst.FunctionDef:
        updated_node = models.function(self.at, original_node, updated_node)
        updated_node = application.function(self.at, original_node, updated_node)
        self.at.functions.pop()
        self.at.scopes.pop()
        return updated_node

    # statements

    def visit_SimpleStatementLine(self, node: cst.SimpleStatementLine) -> None:
        self.at.may_pull = not m.findall(node, _NOT_ALWAYS)

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine | cst.FlattenSentinel[cst.BaseStatement] | cst.RemovalSentinel:
        self.at.may_pull = False
        if models.is_id_field(self.at, original_node):
            return cst.RemoveFromParent()
        return _after(models.pulling(self.at), updated_node)

    def visit_For_iter(self, node: cst.For) -> None:
        self.at.may_pull = True

    def leave_For_iter(self, node: cst.For) -> None:
        self.at.may_pull = False
        self._heads.append(models.pulling(self.at))

    def leave_For(
        self, original_node: cst.For, updated_node: cst.For
    ) -> cst.For | cst.FlattenSentinel[cst.BaseStatement]:
        return _after(self._heads.pop(), updated_node)

    def leave_IndentedBlock(
        self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock
    ) -> cst.IndentedBlock:
        if m.matches(
            original_node,
            m.IndentedBlock([m.ZeroOrMore(), m.SimpleStatementLine([m.Assign()]), m.SimpleStatementLine()]),
        ):
            return updated_node
        return updated_node.with_changes(body=models.folded(updated_node.body))

    def leave_Expr(self, original_node: cst.Expr, updated_node: cst.Expr) -> cst.BaseSmallStatement:
        if isinstance(updated_node.value, cst.Call) and (
            made := results.asserted(self.at, original_node, updated_node.value)
        ):
            return made
        return models.expression(self.at, original_node, updated_node)

    def leave_Assign(self, original_node: cst.Assign, updated_node: cst.Assign) -> cst.BaseSmallStatement:
        return models.assigned(self.at, original_node, updated_node)

    def leave_AugAssign(self, original_node: cst.AugAssign, updated_node: cst.AugAssign) -> cst.BaseSmallStatement:
        return models.assigned(self.at, original_node, updated_node)

    def leave_AnnAssign(self, original_node: cst.AnnAssign, updated_node: cst.AnnAssign) -> cst.AnnAssign:
        return models.annotated(self.at, original_node, updated_node)

    def leave_Return(self, original_node: cst.Return, updated_node: cst.Return) -> cst.BaseSmallStatement:
        if results.is_missing_method(self.at, original_node):
            return cst.Raise(cst.Name("NotImplementedError"))
        return models.returned(self.at, updated_node)

    def leave_Raise(self, original_node: cst.Raise, updated_node: cst.Raise) -> cst.BaseSmallStatement:
        return results.raised(self.at, original_node, updated_node)

    # expressions

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.BaseExpression:
        root = self._name_of(original_node.value)
        if root in ROOTS:
            return self._of_module(original_node, updated_node, root)
        return results.attribute(self.at, original_node, updated_node)

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        for family in (application.called, results.called, models.called):
            made = family(self.at, original_node, updated_node)
            if made is not None:
                return made
        return updated_node

    def leave_Subscript(self, original_node: cst.Subscript, updated_node: cst.Subscript) -> cst.BaseExpression:
        return application.subscript(self.at, original_node, updated_node)

    def leave_UnaryOperation(
        self, original_node: cst.UnaryOperation, updated_node: cst.UnaryOperation
    ) -> cst.BaseExpression:
        inner = updated_node.expression
        twice = isinstance(inner, cst.UnaryOperation) and isinstance(original_node.expression, cst.Attribute)
        return inner.expression if twice and isinstance(inner, cst.UnaryOperation) else updated_node


def _after(
    before: list[cst.SimpleStatementLine], statement: _Statement
) -> _Statement | cst.FlattenSentinel[cst.BaseStatement]:
    """Return a statement after those that pull its events; the comments above it stay above all."""
    if not before:
        return statement
    first = before[0].with_changes(leading_lines=statement.leading_lines)
    return cst.FlattenSentinel([first, *before[1:], statement.with_changes(leading_lines=())])

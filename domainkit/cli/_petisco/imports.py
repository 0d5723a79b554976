"""Imports: each name from where its successor is, in the place of the statement that had it."""

import libcst as cst
from libcst.codemod import CodemodContext
from libcst.codemod.visitors import AddImportsVisitor, ImportItem, RemoveImportsVisitor
from libcst.helpers import get_full_name_for_node

from domainkit.cli._petisco.names import EXPRESSIONS, ROOTS, canonical, successor

_OF_PYDANTIC = ("Field", "field_validator")


class Imports(cst.CSTTransformer):
    """Rewrites the imports of petisco and meiga.

    Args:
        gone: the names that the file doesn't use any more.
        modules: what `import petisco` and `import meiga` become.
        needs: the names to import, with their modules; more are added.
    """

    def __init__(self, gone: frozenset[str], modules: frozenset[str], needs: set[tuple[str, str]]) -> None:
        super().__init__()
        self._gone, self._modules, self._needs = gone, modules, needs
        self._depth = 0

    def visit_IndentedBlock(self, node: cst.IndentedBlock) -> None:
        self._depth += 1

    def leave_IndentedBlock(
        self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock
    ) -> cst.IndentedBlock:
        self._depth -= 1
        return updated_node

    def leave_ImportFrom(  # noqa: D102, N802  (libcst's)
        self, original_node: cst.ImportFrom, updated_node: cst.ImportFrom
    ) -> cst.ImportFrom | cst.FlattenSentinel[cst.BaseSmallStatement] | cst.RemovalSentinel:
        home = get_full_name_for_node(updated_node.module) if updated_node.module else None
        names = updated_node.names
        if (
            updated_node.relative
            or home is None
            or home.split(".")[0] not in ROOTS
            or isinstance(names, cst.ImportStar)
        ):
            return updated_node
        by_home: dict[str, dict[str, cst.ImportAlias]] = {}
        for alias in names:
            name = canonical(f"{home}.{alias.evaluated_name}")
            to, last = successor(name) or (home, alias.evaluated_name)
            joins_others = to == "domainkit" and name.startswith("meiga.") and alias.asname is None
            if joins_others and name not in self._gone:
                self._needs.add((to, last))
            elif name not in EXPRESSIONS and name not in self._gone:
                by_home.setdefault(to, {})[f"{last} {alias.evaluated_alias}"] = alias.with_changes(name=cst.Name(last))
        if not by_home and home.startswith("meiga") and self._depth == 0:
            wanted = {need for need in self._needs if need[0] == "returns.result"}
            self._needs -= wanted
            by_home = {to: {} for to, _ in wanted}
            for to, last in sorted(wanted):
                by_home[to][last] = cst.ImportAlias(cst.Name(last))
        made = [_importing(updated_node, to, [*aliases.values()], names[-1]) for to, aliases in by_home.items()]
        return cst.FlattenSentinel(made) if made else cst.RemoveFromParent()

    def leave_Import(self, original_node: cst.Import, updated_node: cst.Import) -> cst.Import | cst.RemovalSentinel:  # noqa: D102, N802  (libcst's)
        kept: dict[str, cst.ImportAlias] = {}
        for alias in updated_node.names:
            root = alias.evaluated_name.split(".")[0]
            if root not in ROOTS or root in self._modules:
                kept[cst.Module([]).code_for_node(alias).strip(", ")] = alias
            if root == "petisco" and "domainkit" in self._modules:
                kept["domainkit"] = cst.ImportAlias(cst.Name("domainkit"))
        if not kept:
            return cst.RemoveFromParent()
        return updated_node.with_changes(
            names=[one.with_changes(comma=cst.MaybeSentinel.DEFAULT) for one in kept.values()]
        )

    def leave_SimpleStatementLine(  # noqa: D102, N802  (libcst's)
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine | cst.FlattenSentinel[cst.SimpleStatementLine]:
        if len(updated_node.body) <= len(original_node.body):
            return updated_node
        first, *others = (
            cst.SimpleStatementLine([one.with_changes(semicolon=cst.MaybeSentinel.DEFAULT)])
            for one in updated_node.body
        )
        return cst.FlattenSentinel([updated_node.with_changes(body=first.body), *others])


def _importing(
    statement: cst.ImportFrom, home: str, aliases: list[cst.ImportAlias], last: cst.ImportAlias
) -> cst.ImportFrom:
    """Return an import of these, whose last name ends as that of the whole statement did."""
    aliases[-1] = aliases[-1].with_changes(comma=last.comma)
    return statement.with_changes(module=cst.parse_expression(home), names=aliases)


def imported(
    module: cst.Module, gone: frozenset[str], modules: frozenset[str], needs: set[tuple[str, str]]
) -> cst.Module:
    """Return a module that imports what it needs, and nothing that is gone."""
    module = module.visit(Imports(gone, modules, needs))
    items = [ImportItem(home, name) for home, name in sorted(needs)]
    module = AddImportsVisitor(CodemodContext(), items).transform_module(module)
    context = CodemodContext()
    for name in _OF_PYDANTIC:
        RemoveImportsVisitor.remove_unused_import(context, "pydantic", name)
    return RemoveImportsVisitor(context).transform_module(module)

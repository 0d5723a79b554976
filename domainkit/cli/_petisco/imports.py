"""Rewriting of imports: each name is imported from its successor's module, in place of the old statement."""

from typing import Any

import libcst as cst
from libcst.codemod import CodemodContext
from libcst.codemod.visitors import AddImportsVisitor, ImportItem, RemoveImportsVisitor
from libcst.helpers import get_full_name_for_node

from domainkit.cli._petisco.names import EXPRESSIONS, ROOTS, canonical, successor

_OF_PYDANTIC = ("Field", "field_validator")
_RESULTS = "returns.result"


def imported(module: cst.Module, gone: set[str], modules: set[str], needs: set[tuple[str, str]]) -> cst.Module:
    """Return a module with the imports that it needs, and without unused ones.

    Args:
        module: the module.
        gone: the names of petisco and meiga that it no longer uses.
        modules: the modules that replace `import petisco` and `import meiga`.
        needs: pairs of a module and a name to import from it.
    """
    imports = _Imports(gone, modules, needs)
    module = module.visit(imports)
    items = [ImportItem(home, name) for home, name in sorted(imports.needs)]
    if items:
        module = AddImportsVisitor(CodemodContext(), items).transform_module(module)
    if not imports.has_pydantic:  # the visitor below takes as long as all others together
        return module
    context = CodemodContext()
    for name in _OF_PYDANTIC:
        RemoveImportsVisitor.remove_unused_import(context, "pydantic", name)
    return RemoveImportsVisitor(context).transform_module(module)


class _Imports(cst.CSTTransformer):
    def __init__(self, gone: set[str], modules: set[str], needs: set[tuple[str, str]]) -> None:
        super().__init__()
        self._gone, self._modules, self.needs = gone, modules, {*needs}
        self._depth = 0
        self.has_pydantic = False

    def on_visit(self, node: cst.CSTNode) -> bool:
        self._depth += isinstance(node, cst.IndentedBlock)
        return True

    def on_leave(self, original_node: Any, updated_node: Any) -> Any:  # Any: the result depends on the node
        self._depth -= isinstance(original_node, cst.IndentedBlock)
        if isinstance(updated_node, cst.ImportFrom):
            return self._from(updated_node)
        if isinstance(updated_node, cst.Import):
            return self._whole(updated_node)
        is_line = isinstance(updated_node, cst.SimpleStatementLine)
        return _apart(updated_node) if is_line and len(updated_node.body) > len(original_node.body) else updated_node

    def _from(self, statement: cst.ImportFrom) -> Any:  # Any: as above
        home = (get_full_name_for_node(statement.module) if statement.module else None) or ""
        self.has_pydantic |= home == "pydantic"
        if statement.relative or home.split(".")[0] not in ROOTS or isinstance(statement.names, cst.ImportStar):
            return statement
        by_home: dict[str, dict[str, cst.ImportAlias]] = {}
        for alias in statement.names:
            name = canonical(f"{home}.{alias.evaluated_name}")
            to, last = successor(name) or (home, alias.evaluated_name)
            if name in EXPRESSIONS or name in self._gone:
                continue
            if to == "domainkit" and home.startswith("meiga") and alias.asname is None:
                self.needs.add((to, last))  # joins the names of petisco
            else:
                by_home.setdefault(to, {})[f"{last} {alias.evaluated_alias}"] = alias.with_changes(name=cst.Name(last))
        if not by_home and home.startswith("meiga") and self._depth == 0:
            by_home = self._written_here()
        made = [_importing(statement, to, [*aliases.values()]) for to, aliases in by_home.items()]
        return cst.FlattenSentinel(made) if made else cst.RemoveFromParent()

    def _written_here(self) -> dict[str, dict[str, cst.ImportAlias]]:
        """Return the needed imports of Results, to replace a statement whose names are all gone."""
        wanted = sorted(need for need in self.needs if need[0] == _RESULTS)
        self.needs -= {*wanted}
        return {_RESULTS: {name: cst.ImportAlias(cst.Name(name)) for _, name in wanted}} if wanted else {}

    def _whole(self, statement: cst.Import) -> Any:  # Any: as above
        kept: dict[str, cst.ImportAlias] = {}
        for alias in statement.names:
            root = alias.evaluated_name.split(".")[0]
            if root not in ROOTS or root in self._modules:
                kept[f"{alias.evaluated_name} {alias.evaluated_alias}"] = alias
            if root == "petisco" and "domainkit" in self._modules:
                kept["domainkit"] = cst.ImportAlias(cst.Name("domainkit"))
        aliases = [one.with_changes(comma=cst.MaybeSentinel.DEFAULT) for one in kept.values()]
        return statement.with_changes(names=aliases) if aliases else cst.RemoveFromParent()


def _importing(statement: cst.ImportFrom, home: str, aliases: list[cst.ImportAlias]) -> cst.ImportFrom:
    """Return an import of these names, with the trailing comma of the original statement."""
    last = statement.names[-1] if not isinstance(statement.names, cst.ImportStar) else aliases[-1]
    aliases[-1] = aliases[-1].with_changes(comma=last.comma)
    return statement.with_changes(module=cst.parse_expression(home), names=aliases)


def _apart(line: cst.SimpleStatementLine) -> cst.FlattenSentinel[cst.SimpleStatementLine]:
    """Split a line with several statements into one line for each."""
    first, *others = (one.with_changes(semicolon=cst.MaybeSentinel.DEFAULT) for one in line.body)
    return cst.FlattenSentinel([line.with_changes(body=[first]), *(cst.SimpleStatementLine([one]) for one in others)])

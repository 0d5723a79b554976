"""Rewriting of uses of the names of petisco and meiga."""

import re

import libcst as cst

from domainkit.cli._petisco import results
from domainkit.cli._petisco.names import EXPRESSIONS, ROOTS, canonical, remedy, successor
from domainkit.cli._petisco.project import bound_by, code_of
from domainkit.cli._petisco.rewriting import Rewriting


def name(at: Rewriting, original: cst.Name, updated: cst.Name) -> cst.BaseExpression:
    """Return the replacement for a name imported from petisco or meiga."""
    dotted = at.name_of(original)
    if dotted is None or dotted in ROOTS:
        return updated
    whole = canonical(dotted)
    (at.dropped if original in at.skipped else at.used).add(whole)
    if whole in EXPRESSIONS:
        return _written_out(at, whole)
    _, last = successor(whole) or ("", "")
    is_renamed = last and whole.rpartition(".")[2] == original.value != last
    return at.made(last) if is_renamed else updated


def _written_out(at: Rewriting, whole: str) -> cst.BaseExpression:
    return results.success(at) if whole == "meiga.isSuccess" else at.made(EXPRESSIONS[whole])


def attribute(at: Rewriting, original: cst.Attribute, updated: cst.Attribute) -> cst.BaseExpression:
    """Return the replacement for an attribute such as `petisco.Uuid`; `results.attribute` rewrites the others."""
    root = at.name_of(original.value)
    if root not in ROOTS:
        return results.attribute(at, original, updated)
    whole = f"{root}.{original.attr.value}"
    home, last = successor(whole) or ("", "")
    if whole in EXPRESSIONS:
        return _written_out(at, whole)
    if home == "domainkit":
        at.modules.add(home)
        return cst.Attribute(cst.Name(home), cst.Name(last))
    if home:
        return at.made(last)
    if original not in at.skipped:
        at.modules.add(root)
        at.leave(original, f"{whole}: no successor; {remedy(whole)}")
    return updated


def quoted(at: Rewriting, _: cst.SimpleString, updated: cst.SimpleString) -> cst.SimpleString:
    """Return a quoted annotation with its names replaced; other texts unchanged."""
    text = updated.value
    for local, dotted in at.source.bindings.items() if at.annotations else ():
        whole = canonical(dotted)
        new = EXPRESSIONS.get(whole) or (successor(whole) or ("", local))[1]
        if dotted.split(".")[0] in ROOTS and whole.endswith(f".{local}") and re.search(rf"\b{local}\b", text):
            text = re.sub(rf"\b{local}\b", code_of(at.made(new)), text)
    return updated.with_changes(value=text)


def leave_imports(at: Rewriting) -> None:
    """Leave imports of names without a successor to a person."""
    for node in at.imports:
        by_remedy: dict[str, list[str]] = {}
        for local, dotted in bound_by(node, at.source.path):
            whole = canonical(dotted)
            has_successor = whole in EXPRESSIONS or whole in at.gone or successor(whole)
            if dotted.split(".")[0] in ROOTS and not has_successor:
                by_remedy.setdefault(remedy(whole), []).append(local)
        for text, names in by_remedy.items():
            at.leave(node, f"{', '.join(names)}: no successor; {text}")

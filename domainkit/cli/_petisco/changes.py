"""Rewriting of in-place changes of aggregates and messages: the changed copy is assigned to the same name."""

from collections.abc import Sequence
from types import MappingProxyType

import libcst as cst
from libcst import matchers as m

from domainkit.cli._petisco.project import CHANGING, code_of
from domainkit.cli._petisco.rewriting import AGGREGATE, MESSAGE, Rewriting

_ATOMS = (cst.Name, cst.Attribute, cst.Call, cst.BaseNumber, cst.BaseString)
_CALLS = MappingProxyType(
    {
        "get_domain_events": "{}.domain_events",
        "get_first_domain_event": "next(iter({}.domain_events), None)",
        "get_last_domain_event": "next(reversed({}.domain_events), None)",
        "get_message_id": "{}.header.id",
        "get_message_occurred_on": "{}.header.occurred_on",
        "get_message_meta": "{}.header.meta",
        "get_message_name": "{}.info().name",
        "get_message_version": "{}.info().version",
        "get_message_type": "{}.info().kind",
    }
)
_OF_MESSAGES = MappingProxyType({"format": "dict", "format_json": "json", "update_meta": "add_meta"})
_ELSEWHERE = "changed in place, where other code may see it; use the returned copy"
_EVENTS = "returns the events, and the aggregate without them; use both"


def function(at: Rewriting, updated: cst.FunctionDef) -> cst.FunctionDef:
    """Return a method that changed its aggregate as one that returns the changed copy; other methods unchanged."""
    if not at.changes_owner():
        return updated
    ends = m.matches(updated.body, m.IndentedBlock([m.ZeroOrMore(), m.SimpleStatementLine([m.Return() | m.Raise()])]))
    body = [*updated.body.body, *([] if ends else [cst.parse_statement("return self")])]
    annotation = cst.Annotation(at.made("Self"))
    return updated.with_changes(body=updated.body.with_changes(body=folded(body)), returns=annotation)


def block(original: cst.IndentedBlock, updated: cst.IndentedBlock) -> cst.IndentedBlock:
    """Return a block with its end shortened, if the rewriting added an assignment there."""
    was_there = m.matches(
        original, m.IndentedBlock([m.ZeroOrMore(), m.SimpleStatementLine([m.Assign()]), m.DoNotCare()])
    )
    return updated if was_there else updated.with_changes(body=folded(updated.body))


def folded(body: Sequence[cst.BaseStatement]) -> list[cst.BaseStatement]:
    """Return `x = x.f(); return x` at the end of a block as `return x.f()`."""
    match [line.body[0] for line in body[-2:] if isinstance(line, cst.SimpleStatementLine)]:
        case [cst.Assign() as change, cst.Return(value=cst.Name(value=name))] if m.matches(change, _change_of(name)):
            return [*body[:-2], body[-2].with_changes(body=[cst.Return(change.value)])]
    return [*body]


def _change_of(name: str) -> m.Assign:
    """Return a matcher for `x = x.f()` and `x = evolve(x, ...)`."""
    made = m.Call(m.Attribute(m.Name(name))) | m.Call(m.Name("evolve"), [m.Arg(m.Name(name)), m.ZeroOrMore()])
    return m.Assign([m.AssignTarget(m.Name(name))], made)


def returned(at: Rewriting, updated: cst.Return) -> cst.Return:
    """Return `return self` in a method that returns its changed aggregate; other returns unchanged."""
    return cst.Return(cst.Name("self")) if at.changes_owner() else updated


def expression(at: Rewriting, original: cst.Expr, updated: cst.Expr) -> cst.BaseSmallStatement:
    """Return a call statement, as an assignment of the result if the call changed its object in place."""
    call = original.value
    if not (isinstance(call, cst.Call) and isinstance(call.func, cst.Attribute)):
        return updated
    receiver, name = call.func.value, call.func.attr.value
    found = at.scope.type_of(receiver)
    if at.project.is_a(found, AGGREGATE, MESSAGE) and found:
        changes = {*at.project.changing(found), "update_meta"}
        if name == "add_meta":
            at.leave(original, f"{code_of(call.func)}: replaced the meta in place; here it returns a copy with both")
        return _reassigned(at, original, receiver, updated.value) or updated if name in changes else updated
    if found is None and name in CHANGING | at.project.all_changing:
        at.leave(original, f"{code_of(call.func)}: its class isn't known; for an aggregate, use the returned copy")
    return updated


def _reassigned(
    at: Rewriting, original: cst.CSTNode, receiver: cst.BaseExpression, value: cst.BaseExpression
) -> cst.Assign | None:
    """Return the assignment of the changed value to its variable, if no other code has the object."""
    name = code_of(receiver)
    if isinstance(receiver, cst.Name) and (at.changes_owner() if name == "self" else at.scope.makes(name)):
        return cst.Assign([cst.AssignTarget(receiver)], value)
    at.leave(original, f"{name}: {_ELSEWHERE}")
    return None


def assigned(at: Rewriting, original: cst.Assign, updated: cst.Assign) -> cst.BaseSmallStatement:
    """Return an assignment to an attribute of an aggregate, or of its pulled events, as one of a new aggregate."""
    target, name = original.targets[0].target, _pulls_from(at, original.value)
    if name and len(original.targets) == 1 and isinstance(target, cst.Name):
        pair = cst.Tuple([cst.Element(target), cst.Element(cst.Name(name))], lpar=(), rpar=())
        return updated.with_changes(targets=[cst.AssignTarget(pair)])
    if not _is_attribute(at, target):
        return updated
    if len(original.targets) > 1:
        at.leave(original, f"{code_of(target)}: {_ELSEWHERE}")
        return updated
    return _evolved(at, original, target, code_of(updated.value)) or updated


def augmented(at: Rewriting, original: cst.AugAssign, updated: cst.AugAssign) -> cst.BaseSmallStatement:
    """Return an augmented assignment to an aggregate's attribute as an assignment of a new aggregate."""
    if not _is_attribute(at, original.target):
        return updated
    value = code_of(updated.value)
    bare = value if isinstance(updated.value, _ATOMS) else f"({value})"
    operator = code_of(updated.operator).replace("=", "")
    return _evolved(at, original, original.target, f"{code_of(updated.target)}{operator}{bare}") or updated


def _is_attribute(at: Rewriting, target: cst.BaseExpression) -> bool:
    """Check if this is an attribute of an aggregate, except in methods that are left to a person."""
    if not isinstance(target, cst.Attribute) or not at.is_a(target.value, AGGREGATE):
        return False
    return at.changes_owner() or not m.matches(target.value, m.Name("self"))


def _evolved(at: Rewriting, original: cst.CSTNode, target: cst.BaseExpression, value: str) -> cst.Assign | None:
    owner, name = cst.ensure_type(target, cst.Attribute).value, cst.ensure_type(target, cst.Attribute).attr.value
    return _reassigned(at, original, owner, at.made(f"evolve({code_of(owner)}, {name}={value})"))


def called(at: Rewriting, original: cst.Call, updated: cst.Call) -> cst.BaseExpression | None:
    """Return the replacement for a call of a model or one of its methods; None for another call."""
    made = at.scope.class_of(original.func)
    if made and at.project.is_a(made, "petisco.DomainError") and at.project.has_petiscos_init(made):
        names = ("uuid_value", "additional_info")
        args = [arg if arg.keyword else _by_name(name, arg) for name, arg in zip(names, updated.args, strict=False)]
        return updated.with_changes(args=args)
    if at.project.is_a(made, "petisco.Uuid") and len(original.args) == 1:
        func = cst.Attribute(updated.func, cst.Name("from_value"))
        return updated.with_changes(func=func, args=[cst.Arg(updated.args[0].value)])
    if not (isinstance(original.func, cst.Attribute) and isinstance(updated.func, cst.Attribute)):
        return None
    receiver, name, owner = original.func.value, original.func.attr.value, code_of(updated.func.value)
    if name in _CALLS:
        return cst.parse_expression(_CALLS[name].format(owner))
    if name in _OF_MESSAGES and at.is_a(receiver, MESSAGE):
        return updated.with_changes(func=updated.func.with_changes(attr=cst.Name(_OF_MESSAGES[name])))
    if name == "from_format" and at.project.is_a(at.scope.class_of(receiver), MESSAGE):
        at.leave(original, f"{owner}.from_format: strict here; use from_dict, from_json, or a MessageCodec")
    if name == "get_message_attributes" or name.startswith("model_"):
        at.leave(original, f"{owner}.{name}: domainkit doesn't have it; read the fields, or use make_converter")
    return _pulled(at, original) if name == "pull_domain_events" else None


def _by_name(name: str, arg: cst.Arg) -> cst.Arg:
    no_space = cst.SimpleWhitespace("")
    return arg.with_changes(keyword=cst.Name(name), equal=cst.AssignEqual(no_space, no_space))


def _pulls_from(at: Rewriting, node: cst.BaseExpression) -> str:
    """Return the name of the local aggregate whose events an expression pulls; an empty text for other expressions."""
    func = node.func if isinstance(node, cst.Call) else None
    if not (isinstance(func, cst.Attribute) and func.attr.value == "pull_domain_events"):
        return ""
    name = code_of(func.value)
    return name if name != "self" and at.scope.has(name) and at.is_a(func.value, AGGREGATE) else ""


def _pulled(at: Rewriting, original: cst.Call) -> cst.BaseExpression | None:
    """Return the name of the events pulled in a statement before; None if this call is assigned to a name itself."""
    name, receiver = _pulls_from(at, original), cst.ensure_type(original.func, cst.Attribute).value
    if name and original in at.unpacked:
        return None
    if name and at.may_pull:
        at.pulled.append(name)
        return cst.Name(f"{name}_events")
    if at.scope.type_of(receiver) is None or at.is_a(receiver, AGGREGATE):
        at.leave(original, f"{code_of(original)}: {_EVENTS}")
    return None


def pulling(at: Rewriting) -> list[cst.SimpleStatementLine]:
    """Return the statements that pull the events used in the current statement."""
    texts = [f"{name}_events, {name} = {name}.pull_domain_events()" for name in at.pulled]
    at.pulled.clear()
    return [cst.ensure_type(cst.parse_statement(text), cst.SimpleStatementLine) for text in texts]

"""Value objects, ids, aggregates, messages and errors: frozen attrs classes, and what changed in place returns a value."""

from collections.abc import Sequence
from types import MappingProxyType

import libcst as cst
from libcst import matchers as m

from domainkit.aggregates import AggregateRoot
from domainkit.cli._petisco.project import CHANGING, Type, changes_self, fields_of, methods_of, returns_nothing
from domainkit.cli._petisco.rewriting import Rewriting, code_of
from domainkit.messages import Message

VALUE_OBJECT, AGGREGATE, MESSAGE = "petisco.ValueObject", "petisco.AggregateRoot", "petisco.Message"
_FROZEN = (VALUE_OBJECT, AGGREGATE, MESSAGE)
_ATOMS = (cst.Name, cst.Attribute, cst.Call, cst.BaseNumber, cst.BaseString)
_MUTABLE = m.Name("list") | m.Name("List") | m.Name("dict") | m.Name("Dict") | m.Name("set") | m.Name("Set")
_OF_MESSAGES = MappingProxyType(
    {
        "get_message_id": "header.id",
        "get_message_occurred_on": "header.occurred_on",
        "get_message_meta": "header.meta",
        "get_message_name": "info().name",
        "get_message_version": "info().version",
        "get_message_type": "info().kind",
        "format": "dict()",
        "format_json": "json()",
    }
)
_OF_AGGREGATES = MappingProxyType(
    {
        "get_domain_events": "{}.domain_events",
        "get_first_domain_event": "next(iter({}.domain_events), None)",
        "get_last_domain_event": "next(reversed({}.domain_events), None)",
    }
)


def defined(at: Rewriting, owner: Type, original: cst.ClassDef, updated: cst.ClassDef) -> cst.ClassDef:
    """Return a class of the domain as domainkit has it."""
    if at.project.is_a(owner, "meiga.Error"):
        _look_at_error(at, original)
    if not at.project.is_a(owner, *_FROZEN):
        return updated
    _look_at_model(at, owner, original)
    bases = [
        new.with_changes(value=_base(at, owner, old.value, new.value))
        for old, new in zip(original.bases, updated.bases, strict=True)
    ]
    updated = updated.with_changes(bases=bases)
    if not updated.body.body:
        updated = updated.with_changes(body=cst.SimpleStatementSuite([cst.Expr(cst.Ellipsis())]))
    if not fields_of(updated):
        return updated
    frozen = at.made("frozen(kw_only=True)" if _is_out_of_order(at, owner) else "frozen")
    return updated.with_changes(decorators=[*updated.decorators, cst.Decorator(frozen)])


def _base(at: Rewriting, owner: Type, original: cst.BaseExpression, updated: cst.BaseExpression) -> cst.BaseExpression:
    """Return a base with what it is generic in: the type of the value, or of the ids."""
    named, node = at.project.type_of(at.source, original), owner.node
    if named == Type(VALUE_OBJECT) and node:
        value = fields_of(node).get("value")
        if value is not None:
            return cst.parse_expression(f"{code_of(updated)}[{code_of(value.annotation.annotation)}]")
        at.leave(original, f"{owner.last}: its type isn't known; write ValueObject[...] with it")
    own_id = node and fields_of(node).get("aggregate_id")
    if named == Type(AGGREGATE) and own_id and at.project.id_of(owner) != Type("petisco.Uuid"):
        return cst.parse_expression(f"{code_of(updated)}[{code_of(own_id.annotation.annotation)}]")
    return updated


def _is_out_of_order(at: Rewriting, owner: Type) -> bool:
    """Return if a field without a default comes after one with a default: petisco's are all given by name."""
    found = [one for base in reversed(at.project.bases(owner)) if base.node for one in fields_of(base.node).items()]
    defaults = [one.value is not None for name, one in found if name != "aggregate_id"]
    return defaults != sorted(defaults)


def _look_at_error(at: Rewriting, cls: cst.ClassDef) -> None:
    init = methods_of(cls).get("__init__")
    if fields_of(cls) or (init and m.findall(init, m.AssignTarget(m.Attribute(m.Name("self"))))):
        at.leave(cls, f"{cls.name.value}: fields of its own; write @frozen and annotated fields instead of __init__")
    if "get_specific_detail" in methods_of(cls):
        at.leave(cls, f"{cls.name.value}.get_specific_detail: never called here; override detail()")


def _look_at_model(at: Rewriting, owner: Type, cls: cst.ClassDef) -> None:
    """Leave to a person what pydantic does for a model, and what can change."""
    reserved = (
        Message._reserved_names if at.project.is_a(owner, MESSAGE) else AggregateRoot._reserved_names - {"aggregate_id"}
    )
    for name, one in fields_of(cls).items():
        if name in reserved and not at.project.is_a(owner, VALUE_OBJECT):
            at.leave(one, f"{owner.last}.{name}: the name is taken; give the field another")
        if m.findall(one.annotation, _MUTABLE):
            at.leave(
                one,
                f"{owner.last}.{name}: its values can change; write tuple, Mapping or frozenset, and copy instead of changing",
            )
    for method in methods_of(cls).values():
        of_pydantic = [one for one in method.decorators if _is_of_pydantic(at, one.decorator)]
        if (of_pydantic and not _is_rule(at, method)) or method.name.value in {"__init__", "model_post_init"}:
            at.leave(
                method, f"{owner.last}.{method.name.value}: pydantic calls it; write an attrs validator or converter"
            )
        elif (
            at.project.is_a(owner, AGGREGATE)
            and changes_self(method, at.project.changing(owner))
            and not returns_nothing(method)
        ):
            at.leave(
                method,
                f"{owner.last}.{method.name.value}: changes the aggregate and returns something else; return the changed one",
            )
    for statement in cls.body.body:
        if m.matches(statement, m.SimpleStatementLine([m.Assign([m.AssignTarget(m.Name("model_config"))])])):
            at.leave(statement, f"{owner.last}.model_config: of pydantic; say it with attrs")
        if (
            isinstance(statement, cst.ClassDef)
            and statement.name.value == "Config"
            and not _is_version(at, owner, statement)
        ):
            at.leave(
                statement,
                f"{owner.last}.Config: only the `version` of a message is known here; say the rest with attrs",
            )


def _is_version(at: Rewriting, owner: Type, config: cst.ClassDef) -> bool:
    is_version = m.SimpleStatementLine([m.Assign([m.AssignTarget(m.Name("version"))]) | m.AnnAssign(m.Name("version"))])
    return at.project.is_a(owner, MESSAGE) and all(m.matches(one, is_version) for one in config.body.body)


def _is_of_pydantic(at: Rewriting, node: cst.BaseExpression) -> bool:
    func = node.func if isinstance(node, cst.Call) else node
    found = at.project.type_of(at.source, func)
    return found is not None and found.name.startswith("pydantic.")


def _is_rule(at: Rewriting, method: cst.FunctionDef) -> bool:
    """Return if a pydantic validator only looks at the value of a value object, and hands it on as it is."""
    if not at.owns(VALUE_OBJECT) or len(method.params.params) != 2:
        return False
    (_, value), others = (
        method.params.params,
        [one for one in method.decorators if not m.matches(one, m.Decorator(m.Name("classmethod")))],
    )
    on_value = m.Decorator(
        m.Call(args=[m.Arg(m.SimpleString(m.MatchIfTrue(lambda text: text.strip("'\"") == "value")), keyword=None)])
    )
    name = value.name.value
    returns = [code_of(one).strip() for one in m.findall(method.body, m.Return())]
    sets = m.findall(method.body, m.AssignTarget(m.Name(name)) | m.AugAssign(m.Name(name)))
    fits = len(others) == 1 and m.matches(others[0], on_value) and _is_of_pydantic(at, others[0].decorator)
    return fits and not sets and set(returns) == {f"return {name}"} and "value" in fields_of(at.owner.node)


def function(at: Rewriting, original: cst.FunctionDef, updated: cst.FunctionDef) -> cst.FunctionDef:
    """Return a method of a model: a rule of its value, or one that returns the changed aggregate."""
    if at.changes_owner():
        body = [*updated.body.body]
        if not m.matches(body[-1], m.SimpleStatementLine([m.Return() | m.Raise()])):
            body = [*body, cst.parse_statement("return self")]
        annotation = cst.Annotation(at.made("Self"))
        return updated.with_changes(body=updated.body.with_changes(body=folded(body)), returns=annotation)
    if not _is_rule(at, original):
        return updated
    cls, value = (one.name.value for one in original.params.params)
    at.made("Attribute")
    body = m.replace(updated.body, m.Name(cls), cst.parse_expression("type(self)"))
    kept = body.body[:-1] if m.matches(body.body[-1], m.SimpleStatementLine([m.Return()])) else body.body
    params = [cst.Param(cst.Name("self")), _attribute(original, value), updated.params.params[1]]
    return updated.with_changes(
        params=cst.Parameters(params),
        body=body.with_changes(body=kept or [cst.parse_statement("pass")]),
        returns=cst.Annotation(cst.Name("None")),
        decorators=[cst.Decorator(cst.parse_expression("value.validator"))],
    )


def _attribute(rule: cst.FunctionDef, value: str) -> cst.Param:
    annotation = rule.params.params[1].annotation
    of = code_of(annotation.annotation) if annotation else "object"
    return cst.Param(cst.Name("_attribute"), cst.Annotation(cst.SimpleString(f'"Attribute[{of}]"')))


def folded(body: Sequence[cst.BaseStatement]) -> list[cst.BaseStatement]:
    """Return a block where `x = f(); return x` at the end, of which this made the first, is `return f()`."""
    pair = [line.body[0] for line in body[-2:] if isinstance(line, cst.SimpleStatementLine)]
    match pair:
        case [
            cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value=name))], value=value),
            cst.Return(value=cst.Name(value=same)),
        ] if name == same and _is_change(value, name):
            line = cst.ensure_type(body[-2], cst.SimpleStatementLine)
            return [*body[:-2], line.with_changes(body=[cst.Return(value)])]
    return [*body]


def _is_change(value: cst.BaseExpression, name: str) -> bool:
    on_it = m.Attribute(m.Name(name), m.DoesNotMatch(m.Name("pull_domain_events")))
    return m.matches(value, m.Call(on_it) | m.Call(m.Name("evolve"), args=[m.Arg(m.Name(name)), m.ZeroOrMore()]))


def annotated(at: Rewriting, original: cst.AnnAssign, updated: cst.AnnAssign) -> cst.AnnAssign:
    """Return a field of a model with attrs' `field` for pydantic's `Field`, and for a value that has rules."""
    if at.function or not at.owns(*_FROZEN) or at.owner is None or at.owner.node is None:
        return updated
    value = updated.value
    if isinstance(original.value, cst.Call) and isinstance(value, cst.Call) and _is_of_pydantic(at, original.value):
        keyword = value.args[0].keyword.value if len(value.args) == 1 and value.args[0].keyword else ""
        if keyword == "default_factory":
            value = at.made(f"field(factory={code_of(value.args[0].value)})")
        elif keyword == "default":
            value = value.args[0].value
        else:
            at.leave(original, f"{code_of(original.target)}: what pydantic's Field says; write it with attrs' field")
    rules = [one for one in methods_of(at.owner.node).values() if _is_rule(at, one)]
    if rules and m.matches(original.target, m.Name("value")):
        value = at.made(f"field(default={code_of(value)})" if value else "field()")
    return updated.with_changes(value=value, equal=cst.AssignEqual() if value else cst.MaybeSentinel.DEFAULT)


def is_id_field(at: Rewriting, original: cst.SimpleStatementLine) -> bool:
    """Return if a statement declares the id that the base of an aggregate has."""
    is_id = m.matches(original, m.SimpleStatementLine([m.AnnAssign(m.Name("aggregate_id"))]))
    return is_id and at.function is None and at.owns(AGGREGATE)


def expression(at: Rewriting, original: cst.Expr, updated: cst.Expr) -> cst.BaseSmallStatement:
    """Return a statement that is a call: where that changed its object in place, what it returns takes its name."""
    if not (isinstance(original.value, cst.Call) and isinstance(original.value.func, cst.Attribute)):
        return updated
    receiver, name = original.value.func.value, original.value.func.attr.value
    found = at.scope.type_of(receiver)
    if at.project.is_a(found, AGGREGATE) and found:
        return _reassigned(at, original, receiver, updated) if name in at.project.changing(found) else updated
    if at.project.is_a(found, MESSAGE):
        if name == "update_meta":
            return _reassigned(at, original, receiver, updated)
        if name == "add_meta":
            at.leave(
                original,
                f"{code_of(receiver)}.add_meta: replaced the meta in place; here it returns a copy with both merged",
            )
    elif (
        found is None
        and name in CHANGING | at.project.all_changing
        and not m.matches(receiver, m.Call(m.Name("super")))
    ):
        at.leave(original, f"{code_of(receiver)}.{name}: its class isn't known; of an aggregate, use what it returns")
    return updated


def _reassigned(
    at: Rewriting, original: cst.CSTNode, receiver: cst.BaseExpression, updated: cst.Expr
) -> cst.BaseSmallStatement:
    """Return the statement that gives a variable its changed value, where nobody else sees the object."""
    name = code_of(receiver)
    if isinstance(receiver, cst.Name) and (at.changes_owner() if name == "self" else at.scope.makes(name)):
        return cst.Assign([cst.AssignTarget(receiver)], updated.value)
    at.leave(original, f"{name}: changed in place, where others may see it; use what this returns")
    return updated


def assigned(
    at: Rewriting, original: cst.Assign | cst.AugAssign, updated: cst.Assign | cst.AugAssign
) -> cst.BaseSmallStatement:
    """Return what gives an aggregate's attribute another value: a changed copy under the same name."""
    target = original.targets[0].target if isinstance(original, cst.Assign) else original.target
    if isinstance(updated, cst.Assign) and original.value in at.valued_by_name and isinstance(original.value, cst.Call):
        func = original.value.func
        if m.matches(func, m.Attribute(attr=m.Name("pull_domain_events"))) and _is_local(at, func.value):
            pair = cst.parse_expression(f"{code_of(target)}, {code_of(func.value)}")
            return updated.with_changes(targets=[cst.AssignTarget(pair)])
    if not isinstance(target, cst.Attribute) or not at.is_a(target.value, AGGREGATE) or _is_own(at, target):
        return updated
    owner, name, value = code_of(target.value), target.attr.value, code_of(updated.value)
    if isinstance(updated, cst.AugAssign):
        bare = value if isinstance(updated.value, _ATOMS) else f"({value})"
        value = f"{owner}.{name}{code_of(updated.operator).replace('=', '')}{bare}"
    elif len(updated.targets) > 1:
        at.leave(original, f"{owner}.{name}: changed in place with others; use attrs.evolve")
        return updated
    changed = cst.Expr(at.made(f"evolve({owner}, {name}={value})"))
    made = _reassigned(at, original, target.value, changed)
    return updated if made is changed else made


def _is_own(at: Rewriting, target: cst.Attribute) -> bool:
    """Return if a method that was left to a person sets an attribute of its own object."""
    return m.matches(target.value, m.Name("self")) and not at.changes_owner()


def called(at: Rewriting, original: cst.Call, updated: cst.Call) -> cst.BaseExpression | None:
    """Return what takes the place of a call of a model, or of one of its methods; None for another call."""
    if at.project.is_a(at.scope.class_of(original.func), "petisco.Uuid") and len(original.args) == 1:
        func = cst.Attribute(updated.func, cst.Name("from_value"))
        return updated.with_changes(
            func=func, args=[updated.args[0].with_changes(keyword=None, equal=cst.MaybeSentinel.DEFAULT)]
        )
    if not (isinstance(original.func, cst.Attribute) and isinstance(updated.func, cst.Attribute)):
        return None
    receiver, owner, name = original.func.value, code_of(updated.func.value), original.func.attr.value
    is_message = at.is_a(receiver, MESSAGE)
    if name in _OF_MESSAGES and (is_message or name.startswith("get_message_")):
        return cst.parse_expression(f"{owner}.{_OF_MESSAGES[name]}")
    if name in _OF_AGGREGATES:
        return cst.parse_expression(_OF_AGGREGATES[name].format(owner))
    if name == "update_meta" and is_message:
        return updated.with_changes(func=updated.func.with_changes(attr=cst.Name("add_meta")))
    if name == "from_format" and at.project.is_a(at.scope.class_of(receiver), MESSAGE):
        at.leave(
            original,
            f"{owner}.from_format: strict here; use from_dict or from_json, or a MessageCodec for several classes",
        )
    if name == "get_message_attributes" or name.startswith("model_"):
        at.leave(original, f"{owner}.{name}: there is none here; read the fields, or use a converter")
    return _pulled(at, original, updated) if name == "pull_domain_events" else None


def _pulled(at: Rewriting, original: cst.Call, updated: cst.Call) -> cst.BaseExpression | None:
    """Return the name of the events that are pulled in a statement before; None where they are assigned themselves."""
    receiver = cst.ensure_type(original.func, cst.Attribute).value
    if _is_local(at, receiver) and original in at.valued_by_name:
        return None
    if _is_local(at, receiver) and at.may_pull:
        at.pulled.append((f"{code_of(receiver)}_events", code_of(receiver)))
        return cst.Name(f"{code_of(receiver)}_events")
    if at.scope.type_of(receiver) is None or at.is_a(receiver, AGGREGATE):
        at.leave(
            original,
            f"{code_of(receiver)}.pull_domain_events: returns the events, and the aggregate without them; use both",
        )
    return None


def _is_local(at: Rewriting, node: cst.BaseExpression) -> bool:
    is_other = isinstance(node, cst.Name) and node.value != "self" and at.scope.has(node.value)
    return is_other and at.is_a(node, AGGREGATE)


def pulling(at: Rewriting) -> list[cst.SimpleStatementLine]:
    """Return the statements that pull the events that the statement at hand uses."""
    texts = [f"{events}, {name} = {name}.pull_domain_events()" for events, name in at.pulled]
    at.pulled.clear()
    return [cst.ensure_type(cst.parse_statement(text), cst.SimpleStatementLine) for text in texts]


def returned(at: Rewriting, updated: cst.Return) -> cst.Return:
    """Return the `return` of a method: of one that changes its aggregate the changed one, of a rule nothing."""
    if at.changes_owner():
        return cst.Return(cst.Name("self"))
    is_rule = at.function is not None and _is_rule(at, at.function)
    return cst.Return() if is_rule else updated

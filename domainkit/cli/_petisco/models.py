"""Rewriting of domain classes: value objects, aggregates, messages and errors become frozen attrs classes."""

import libcst as cst
from libcst import matchers as m

from domainkit.aggregates import AggregateRoot
from domainkit.cli._petisco.project import Type, changes_self, code_of, fields_of, methods_of, returns_nothing
from domainkit.cli._petisco.rewriting import AGGREGATE, MESSAGE, VALUE_OBJECT, Rewriting
from domainkit.messages import Message

_FROZEN = (VALUE_OBJECT, AGGREGATE, MESSAGE)
_MUTABLE = m.Name(m.MatchIfTrue(lambda name: name.lower() in {"list", "dict", "set"}))
_RESERVED = ((MESSAGE, Message._reserved_names), (AGGREGATE, AggregateRoot._reserved_names - {"aggregate_id"}))
_VERSION = m.SimpleStatementLine([m.Assign([m.AssignTarget(m.Name("version"))]) | m.AnnAssign(m.Name("version"))])
_SETTINGS = m.SimpleStatementLine([m.Assign([m.AssignTarget(m.Name("model_config"))])])
_ON_VALUE = m.Call(args=[m.Arg(m.SimpleString(m.MatchRegex("['\"]value['\"]")), keyword=None)])


def defined(at: Rewriting, original: cst.ClassDef, updated: cst.ClassDef) -> cst.ClassDef:
    """Return a rewritten class of the domain."""
    if at.owns("meiga.Error"):
        _leave_error(at, original)
    if not at.owns(*_FROZEN):
        return updated
    _leave_fields(at, original)
    _leave_methods(at, original)
    bases = [
        new.with_changes(value=_base(at, original, old.value, new.value))
        for old, new in zip(original.bases, updated.bases, strict=True)
    ]
    updated = updated.with_changes(bases=bases)
    if not updated.body.body:
        updated = updated.with_changes(body=cst.SimpleStatementSuite([cst.Expr(cst.Ellipsis())]))
    if not fields_of(updated):
        return updated
    frozen = at.made("frozen(kw_only=True)" if _is_out_of_order(at) else "frozen")
    return updated.with_changes(decorators=[*updated.decorators, cst.Decorator(frozen)])


def _base(
    at: Rewriting, cls: cst.ClassDef, original: cst.BaseExpression, updated: cst.BaseExpression
) -> cst.BaseExpression:
    """Return a base with its type argument: the type of the value, or of the ids."""
    named, fields = at.project.type_of(at.source, original), fields_of(cls)
    if named == Type(VALUE_OBJECT) and "value" not in fields:
        at.leave(cls, f"{cls.name.value}: the type of its value isn't known; write it, as in ValueObject[str]")
    elif named == Type(VALUE_OBJECT):
        return cst.parse_expression(f"{code_of(updated)}[{code_of(fields['value'].annotation.annotation)}]")
    elif named == Type(AGGREGATE) and at.project.id_of(at.owner) != Type("petisco.Uuid"):
        return cst.parse_expression(f"{code_of(updated)}[{code_of(fields['aggregate_id'].annotation.annotation)}]")
    return updated


def _is_out_of_order(at: Rewriting) -> bool:
    """Check if a field without a default follows one with a default; in petisco all arguments are passed by name."""
    nodes = [base.node for base in reversed(at.project.bases(at.owner)) if base.node]
    fields = [one for node in nodes for name, one in fields_of(node).items() if name != "aggregate_id"]
    defaults = [one.value is not None for one in fields]
    return defaults != sorted(defaults)


def _leave_error(at: Rewriting, cls: cst.ClassDef) -> None:
    """Leave an error's own fields and `get_specific_detail` to a person."""
    methods, name = methods_of(cls), cls.name.value
    sets = "__init__" in methods and m.findall(methods["__init__"], m.AssignTarget(m.Attribute(m.Name("self"))))
    if sets or fields_of(cls):
        at.leave(cls, f"{name}: it has its own fields; write @frozen, and the fields with their types")
    if "get_specific_detail" in methods:
        at.leave(cls, f"{name}.get_specific_detail: domainkit doesn't call it; override detail()")


def _leave_fields(at: Rewriting, cls: cst.ClassDef) -> None:
    """Leave mutable fields, reserved names and options of pydantic to a person."""
    name = cls.name.value
    for field, one in fields_of(cls).items():
        if any(at.owns(kind) and field in reserved for kind, reserved in _RESERVED):
            at.leave(one, f"{name}.{field}: the name is reserved; rename the field")
        if m.findall(one.annotation, _MUTABLE):
            at.leave(one, f"{name}.{field}: its type is mutable; use tuple, Mapping or frozenset")
    for statement in cls.body.body:
        if m.matches(statement, _SETTINGS):
            at.leave(statement, f"{name}.model_config: an option of pydantic; use attrs instead")
        if isinstance(statement, cst.ClassDef) and not (at.owns(MESSAGE) and _says_version_alone(statement)):
            at.leave(
                statement,
                f"{name}.{statement.name.value}: only the version of a message is supported; use attrs instead",
            )


def _leave_methods(at: Rewriting, cls: cst.ClassDef) -> None:
    """Leave methods that pydantic calls, and those that change an aggregate and return another value, to a person."""
    for name, method in methods_of(cls).items():
        of_pydantic = any(_is_of_pydantic(at, one.decorator) for one in method.decorators) and not _is_rule(at, method)
        if of_pydantic or name in {"__init__", "model_post_init"}:
            at.leave(method, f"{cls.name.value}.{name}: pydantic calls it; write an attrs validator or converter")
        elif at.owns(AGGREGATE) and changes_self(method, at.project.changing(at.owner)) and not returns_nothing(method):
            at.leave(method, f"{cls.name.value}.{name}: changes the aggregate and returns another value; return both")


def _says_version_alone(inner: cst.ClassDef) -> bool:
    return inner.name.value == "Config" and all(m.matches(one, _VERSION) for one in inner.body.body)


def _is_of_pydantic(at: Rewriting, node: cst.BaseExpression) -> bool:
    return at.named(node.func if isinstance(node, cst.Call) else node).startswith("pydantic.")


def _is_rule(at: Rewriting, method: cst.FunctionDef) -> bool:
    """Check if a pydantic validator only checks the value of a value object, and returns it unchanged."""
    decorators = [one.decorator for one in method.decorators if code_of(one.decorator) != "classmethod"]
    if not (at.owns(VALUE_OBJECT) and len(method.params.params) == 2 and len(decorators) == 1):
        return False
    name = code_of(method.params.params[1].name)
    returns = {code_of(one).strip() for one in m.findall(method.body, m.Return())}
    sets = m.findall(method.body, m.AssignTarget(m.Name(name)) | m.AugAssign(m.Name(name)) | m.NamedExpr(m.Name(name)))
    is_on_value = m.matches(decorators[0], _ON_VALUE) and _is_of_pydantic(at, decorators[0])
    return is_on_value and not sets and returns == {f"return {name}"} and at.has_field("value")


def function(at: Rewriting, original: cst.FunctionDef, updated: cst.FunctionDef) -> cst.FunctionDef:
    """Return a rule of a value as an attrs validator; other functions unchanged."""
    if not _is_rule(at, original):
        return updated
    at.made("Attribute")
    cls, given = original.params.params
    hint = code_of(given.annotation.annotation) if given.annotation else "object"
    about = cst.Param(cst.Name("_attribute"), cst.Annotation(cst.SimpleString(f'"Attribute[{hint}]"')))
    body = cst.ensure_type(updated.body.visit(_Replacing(cls.name.value)), cst.IndentedBlock)
    ends = m.matches(body.body[-1], m.SimpleStatementLine([m.Return()]))
    lines = body.body[:-1] if ends else body.body
    return updated.with_changes(
        params=cst.Parameters([cst.Param(cst.Name("self")), about, updated.params.params[1]]),
        body=body.with_changes(body=lines or [cst.parse_statement("pass")]),
        returns=cst.Annotation(cst.Name("None")),
        decorators=[cst.Decorator(cst.parse_expression("value.validator"))],
    )


class _Replacing(cst.CSTTransformer):
    """Replaces the class parameter of a pydantic validator by `type(self)`."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:
        return cst.parse_expression("type(self)") if original_node.value == self._name else updated_node


def annotated(at: Rewriting, original: cst.AnnAssign, updated: cst.AnnAssign) -> cst.AnnAssign:
    """Return a field of a model, with attrs' `field` instead of pydantic's `Field`, and for a value with rules."""
    node, value = at.owner.node, updated.value
    if at.function or not node or not at.owns(*_FROZEN):
        return updated
    if isinstance(value, cst.Call) and _is_of_pydantic(at, value):
        match [(arg.keyword and arg.keyword.value, arg.value) for arg in value.args]:
            case [("default_factory", factory)]:
                value = at.made(f"field(factory={code_of(factory)})")
            case [("default", value)]:
                pass
            case _:
                at.leave(original, f"{code_of(original.target)}: the options of Field are pydantic's; use attrs' field")
    if m.matches(original.target, m.Name("value")) and any(_is_rule(at, one) for one in methods_of(node).values()):
        value = at.made(f"field(default={code_of(value)})" if value else "field()")
    return updated.with_changes(value=value, equal=cst.AssignEqual() if value else cst.MaybeSentinel.DEFAULT)


def is_id_field(at: Rewriting, statement: cst.SimpleStatementLine) -> bool:
    """Check if a statement declares the id of an aggregate, which AggregateRoot already has."""
    is_id = m.matches(statement, m.SimpleStatementLine([m.AnnAssign(m.Name("aggregate_id"))]))
    return is_id and at.function is None and at.owns(AGGREGATE)


def returned(at: Rewriting, updated: cst.Return) -> cst.Return:
    """Return a `return` of a rule without its value; other returns unchanged."""
    return cst.Return() if at.function and _is_rule(at, at.function) else updated

"""Rewriting of use cases, application services, repositories, buses and subscribers."""

from types import MappingProxyType

import libcst as cst
from libcst import matchers as m

from domainkit.cli._petisco.project import Source, Type, code_of, methods_of
from domainkit.cli._petisco.rewriting import AGGREGATE, SUBSCRIBERS, USE_CASES, Rewriting

_TYPED = frozenset({*USE_CASES, "petisco.AppService", "petisco.AsyncAppService"})
_CRUD = "petisco.CrudRepository"
_REPOSITORIES = frozenset({_CRUD, "petisco.InmemoryCrudRepository"})
_OF_ALL = frozenset({"petisco.DomainEvent", "petisco.Command", "petisco.Message"})
_BUSES = m.Attribute(m.Name("self"), m.Name("domain_event_bus") | m.Name("command_bus"))
_CONTRACTS = MappingProxyType(
    {
        _CRUD: "save and update return the stored aggregate, and update checks and raises its version",
        "petisco.DomainEventBus": "publish returns a Result, and the port has with_meta",
        "petisco.CommandBus": "dispatch returns a Result, and the port has with_meta",
    }
)


def defined(at: Rewriting, original: cst.ClassDef, updated: cst.ClassDef) -> cst.ClassDef:
    """Return a rewritten class of the application: a use case with its types, a subscriber without its base."""
    _leave_contracts(at, original)
    bases = []
    for old, new in zip(original.bases, updated.bases, strict=True):
        named = at.named(old.value)
        if named not in SUBSCRIBERS:
            bases.append(new.with_changes(value=_typed(at, updated, new.value)) if named in _TYPED else new)
    if original.bases and not bases:
        return updated.with_changes(bases=(), lpar=cst.MaybeSentinel.DEFAULT, rpar=cst.MaybeSentinel.DEFAULT)
    return updated.with_changes(bases=bases)


def _typed(at: Rewriting, updated: cst.ClassDef, base: cst.BaseExpression) -> cst.BaseExpression:
    """Return the base of a use case with the types of `execute`, if it is annotated."""
    execute = methods_of(updated).get("execute")
    returns = execute.returns.annotation if execute and execute.returns else None
    if execute is None or not isinstance(returns, cst.Subscript) or not m.matches(returns.value, m.Name("Result")):
        return base
    params = execute.params.params[1:]
    given = [code_of(one.annotation.annotation) for one in params if one.annotation and not one.default]
    by_name = {one.name.value for one in params} & at.project.keywords_of_execute
    has_others = len(execute.params.children) > len(execute.params.params) or len(given) < len(params)
    takes = "..." if by_name or has_others else f"[{', '.join(given)}]"
    return cst.parse_expression(f"{code_of(base)}[{takes}, {', '.join(code_of(one.slice) for one in returns.slice)}]")


def _leave_contracts(at: Rewriting, cls: cst.ClassDef) -> None:
    """Leave new requirements of a port to a person, and attributes that petisco sets on a subscriber."""
    name = cls.name.value
    for port, contract in _CONTRACTS.items():
        if at.owns(port) and methods_of(cls).keys() & {"save", "update", "publish", "dispatch"}:
            at.leave(cls, f"{name}: {contract}")
    if at.owns(*SUBSCRIBERS):
        for one in m.findall(cls, _BUSES):
            at.leave(one, f"{name}: domainkit doesn't set {code_of(one)}; pass the bus to the constructor")
        for config in m.findall(cls.body, m.ClassDef(m.Name("Config"))):
            at.leave(config, f"{name}.Config: domainkit doesn't read it; wrap the handler in a function")
        if not _subscribed(cls):
            at.leave(cls, f"{name}: its subscriptions aren't known; bind its handle with handled_by")


def _subscribed(cls: cst.ClassDef) -> list[str]:
    """Return the message classes in `subscribed_to`, if the method only returns them."""
    method = methods_of(cls).get("subscribed_to")
    match method.body.body if method else ():
        case [cst.SimpleStatementLine(body=[cst.Return(value=cst.List(elements=elements))])]:
            return [code_of(one.value) for one in elements]
        case [cst.SimpleStatementLine(body=[cst.Return(value=cst.Name() | cst.Attribute() as one)])]:
            return [code_of(one)]
    return []


def function(at: Rewriting, original: cst.FunctionDef, updated: cst.FunctionDef) -> cst.FunctionDef:
    """Return a method of a use case without its early-return decorator, or a rewritten method of a subscriber."""
    if not at.owns(*USE_CASES, *SUBSCRIBERS):
        return updated
    named = _subscribed(at.owner.node) if at.owns(*SUBSCRIBERS) and at.owner.node else []
    if original.name.value == "subscribed_to" and named:
        return _binding(at, updated, named)
    if not at.has_guard(original):
        return updated
    pairs = zip(original.decorators, updated.decorators, strict=True)
    decorators = [new for old, new in pairs if not at.is_early(old)]
    if original.name.value == "handle":
        decorators.append(cst.Decorator(at.made("use_case")))
        updated = _narrowed(at, original, updated, named)
    return updated.with_changes(decorators=decorators)


def _binding(at: Rewriting, updated: cst.FunctionDef, named: list[str]) -> cst.FunctionDef:
    bound = [f"{one}.handled_by(self.handle)" for one in named]
    if at.owns("petisco.CommandSubscriber"):
        returns, value = at.made(f"Handler[{named[0]}, None, DomainError]"), bound[0]
    else:
        returns = at.made(f"tuple[{', '.join(f'Subscriber[{one}]' for one in named)}]")
        value = f"({', '.join(bound)}{',' if len(bound) == 1 else ''})"
    body = updated.body.with_changes(body=[cst.parse_statement(f"return {value}")])
    return updated.with_changes(returns=cst.Annotation(returns), body=body)


def _narrowed(at: Rewriting, original: cst.FunctionDef, updated: cst.FunctionDef, named: list[str]) -> cst.FunctionDef:
    """Return `handle` annotated with the one class that it is subscribed to, instead of a base class of messages."""
    params = [*updated.params.params]
    annotation = original.params.params[1].annotation if len(params) == 2 else None
    if annotation and at.named(annotation.annotation) in _OF_ALL and len(named) == 1:
        params[1] = params[1].with_changes(annotation=cst.Annotation(cst.parse_expression(named[0])))
    return updated.with_changes(params=updated.params.with_changes(params=params))


def subscript(at: Rewriting, original: cst.Subscript, updated: cst.Subscript) -> cst.BaseExpression:
    """Return a repository's type with the class of its ids after that of its aggregates."""
    found = at.project.type_of(at.source, original) if at.named(original.value) in _REPOSITORIES else None
    aggregate = found.args[0] if found and len(found.args) == 1 else None
    wanted = at.project.id_of(aggregate) if aggregate and at.project.is_a(aggregate, AGGREGATE) else None
    if aggregate is None or wanted is None or wanted.name == "petisco.Uuid":
        return updated
    name = _imported(at, aggregate, wanted)
    if name is None:
        at.leave(
            original, f"{code_of(original)}: add the class of the ids, {wanted.last}, after that of the aggregates"
        )
        return updated
    return cst.parse_expression(f"{code_of(updated)[:-1]}, {name}]")


def _imported(at: Rewriting, aggregate: Type, wanted: Type) -> str | None:
    """Return the name of an id class in the current file, importing it if necessary; None if that isn't possible."""
    for name in (*at.source.classes, *at.source.bindings):
        if at.project.type_named(at.source, name) == wanted:
            return name
    together = wanted.of is aggregate.of
    home = _home(at, at.source, aggregate) if together else _home(at, aggregate.of or at.source, wanted)
    if home:
        at.needs.add((home, wanted.last))
    return wanted.last if home else None


def _home(at: Rewriting, source: Source, wanted: Type) -> str | None:
    """Return the full name of the module from which a file imports a class."""
    found = (dotted for name, dotted in source.bindings.items() if at.project.type_named(source, name) == wanted)
    return next((dotted.rpartition(".")[0] for dotted in found if not dotted.startswith("/")), None)


def called(at: Rewriting, original: cst.Call, updated: cst.Call) -> cst.BaseExpression | None:
    """Return the replacement for a call of a use case, a repository or a bus; None for another call."""
    if not (isinstance(original.func, cst.Attribute) and isinstance(updated.func, cst.Attribute)):
        return None
    receiver, name = original.func.value, original.func.attr.value
    if name == "execute" and at.is_a(receiver, *USE_CASES):
        return updated.with_changes(func=updated.func.value)
    if name == "execute" and at.scope.type_of(receiver) is None:
        at.leave(original, f"{code_of(original.func)}: its class isn't known; call a use case without execute")
    if name == "publish" and at.is_a(receiver, "petisco.CommandBus"):
        return updated.with_changes(func=updated.func.with_changes(attr=cst.Name("dispatch")))
    if name == "update" and at.is_a(receiver, _CRUD) and _is_repeated(at, original):
        at.leave(original, f"{code_of(original)}: a second update is refused; update the result of the first")
    if name == "retrieve_all" and at.is_a(receiver, _CRUD):
        return _mapped(updated, "list")
    if name in {"save", "update"} and original in at.valued and at.is_a(receiver, _CRUD):
        return _mapped(updated, "lambda _: None")
    return None


def _is_repeated(at: Rewriting, update: cst.Call) -> bool:
    """Check if the current function or module already updated this variable, whose version is then outdated."""
    calls = m.findall((at.function or at.source.module), m.Call(m.Attribute(attr=m.Name("update"))))
    return [code_of(one) for one in calls].index(code_of(update)) < [one is update for one in calls].index(True)


def _mapped(result: cst.Call, function: str) -> cst.Call:
    return cst.Call(cst.Attribute(result, cst.Name("map")), [cst.Arg(cst.parse_expression(function))])

"""Use cases, application services, repositories, buses and subscribers, with the types that domainkit gives them."""

import libcst as cst
from libcst import matchers as m
from libcst.helpers import get_full_name_for_node

from domainkit.cli._petisco.project import Type, methods_of
from domainkit.cli._petisco.rewriting import Rewriting, code_of

_TYPED = frozenset({"petisco.UseCase", "petisco.AsyncUseCase", "petisco.AppService", "petisco.AsyncAppService"})
USE_CASES = ("petisco.UseCase", "petisco.AsyncUseCase")
REPOSITORIES = ("petisco.CrudRepository", "petisco.InmemoryCrudRepository")
SUBSCRIBERS = ("petisco.DomainEventSubscriber", "petisco.CommandSubscriber")
_CONTRACTS = {
    "petisco.CrudRepository": "save and update return the stored aggregate, and update checks and raises its version",
    "petisco.DomainEventBus": "publish returns a Result, and with_meta and close are there",
    "petisco.CommandBus": "dispatch returns a Result, and with_meta and close are there",
}


def defined(at: Rewriting, owner: Type, original: cst.ClassDef, updated: cst.ClassDef) -> cst.ClassDef:
    """Return a class of the application: a use case with its types, a subscriber without its base."""
    bases = []
    for old, new in zip(original.bases, updated.bases, strict=True):
        named = at.project.type_of(at.source, old.value)
        if named and named.name in _TYPED and isinstance(old.value, cst.Name | cst.Attribute):
            new = new.with_changes(value=_typed(at, original, updated, new.value))
        if named is None or named.name not in SUBSCRIBERS:
            bases.append(new)
    _look_at(at, owner, original)
    if len(bases) < len(original.bases) == 1:
        return updated.with_changes(bases=(), lpar=cst.MaybeSentinel.DEFAULT, rpar=cst.MaybeSentinel.DEFAULT)
    return updated.with_changes(bases=bases)


def _typed(
    at: Rewriting, original: cst.ClassDef, updated: cst.ClassDef, base: cst.BaseExpression
) -> cst.BaseExpression:
    """Return the base of a use case with what `execute` takes and returns, if it says that."""
    execute = methods_of(updated).get("execute")
    returns = execute.returns.annotation if execute and execute.returns else None
    if execute is None or not isinstance(returns, cst.Subscript) or len(returns.slice) != 2:
        return base
    params = execute.params.params[1:]
    names = {one.name.value for one in params}
    others = (execute.params.kwonly_params, execute.params.star_kwarg, *(one.default for one in params))
    is_plain = not any(others) and execute.params.star_arg in (None, cst.MaybeSentinel.DEFAULT)
    given = [one.annotation.annotation for one in params if one.annotation]
    is_plain = is_plain and len(given) == len(params) and not names & at.project.keywords_of_execute
    takes = f"[{', '.join(map(code_of, given))}]" if is_plain else "..."
    return cst.parse_expression(f"{code_of(base)}[{takes}, {', '.join(code_of(one.slice) for one in returns.slice)}]")


def _look_at(at: Rewriting, owner: Type, cls: cst.ClassDef) -> None:
    """Leave to a person what a port asks of those who implement it, and what a subscriber was given from outside."""
    for name, contract in _CONTRACTS.items():
        own = {"save", "update", "publish", "dispatch"} & methods_of(cls).keys()
        if own and at.project.is_a(owner, name):
            at.leave(cls, f"{owner.last}: {contract}")
    if at.project.is_a(owner, *SUBSCRIBERS):
        for one in m.findall(cls, m.Attribute(m.Name("self"), m.Name("domain_event_bus") | m.Name("command_bus"))):
            at.leave(one, f"{owner.last}: nobody sets {code_of(one)}; pass the bus to the constructor")
        for config in m.findall(cls.body, m.ClassDef(m.Name("Config"))):
            at.leave(config, f"{owner.last}.Config: there are no middlewares here; put a function around the handler")
        if _subscribed(at, cls) is None:
            at.leave(cls, f"{owner.last}: what it is subscribed to is computed; bind its handle with handled_by")


def _subscribed(at: Rewriting, cls: cst.ClassDef) -> list[str] | None:
    """Return the classes of messages that a subscriber names, if it does no more than that."""
    method = methods_of(cls).get("subscribed_to")
    match method.body.body if method else ():
        case [cst.SimpleStatementLine(body=[cst.Return(value=cst.List(elements=elements))])]:
            return [code_of(one.value) for one in elements]
        case [cst.SimpleStatementLine(body=[cst.Return(value=cst.Name() | cst.Attribute() as one)])]:
            return [code_of(one)]
    return None


def function(at: Rewriting, original: cst.FunctionDef, updated: cst.FunctionDef) -> cst.FunctionDef:
    """Return a method of a use case without its own early return, and one of a subscriber as domainkit binds it."""
    name = original.name.value
    if at.owner and at.owner.node and at.owns(*SUBSCRIBERS) and (named := _subscribed(at, at.owner.node)):
        if name == "subscribed_to":
            return _binding(at, updated, named)
        if name == "handle":
            return _handler(at, original, updated, named)
    return (
        updated.with_changes(decorators=_kept(at, original, updated)) if drops_early_return(at, original) else updated
    )


def drops_early_return(at: Rewriting, function: cst.FunctionDef) -> bool:
    """Return if a function is under a guard without an early return of its own."""
    name = function.name.value
    return (name == "execute" and at.owns(*USE_CASES)) or (name == "handle" and at.owns(*SUBSCRIBERS))


def _kept(at: Rewriting, original: cst.FunctionDef, updated: cst.FunctionDef) -> list[cst.Decorator]:
    pairs = zip(original.decorators, updated.decorators, strict=True)
    return [new for old, new in pairs if not at.returns_early(old)]


def _binding(at: Rewriting, updated: cst.FunctionDef, named: list[str]) -> cst.FunctionDef:
    bound = [f"{one}.handled_by(self.handle)" for one in named]
    if at.owns("petisco.CommandSubscriber"):
        returns, value = at.made(f"Handler[{named[0]}, None, DomainError]"), bound[0]
    else:
        returns = at.made(f"tuple[{', '.join(f'Subscriber[{one}]' for one in named)}]")
        value = f"({', '.join(bound)}{',' if len(bound) == 1 else ''})"
    statement = cst.parse_statement(f"return {value}")
    return updated.with_changes(returns=cst.Annotation(returns), body=updated.body.with_changes(body=[statement]))


def _handler(at: Rewriting, original: cst.FunctionDef, updated: cst.FunctionDef, named: list[str]) -> cst.FunctionDef:
    """Return `handle` under a guard, as petisco has it; it takes the class that it is subscribed to, if that is one."""
    params = [*updated.params.params]
    taken = (
        at.project.type_of(at.source, params[1].annotation.annotation) if params[1:] and params[1].annotation else None
    )
    if taken and taken.name in {"petisco.DomainEvent", "petisco.Command", "petisco.Message"} and len(named) == 1:
        params[1] = params[1].with_changes(
            annotation=params[1].annotation.with_changes(annotation=cst.parse_expression(named[0]))
        )
    return updated.with_changes(
        decorators=[*_kept(at, original, updated), cst.Decorator(at.made("use_case"))],
        params=updated.params.with_changes(params=params),
    )


def subscript(at: Rewriting, original: cst.Subscript, updated: cst.Subscript) -> cst.Subscript:
    """Return a repository with the class of its ids beside that of its aggregates."""
    found = at.project.type_of(at.source, original)
    if found is None or found.name not in REPOSITORIES or len(found.args) != 1 or found.args[0] is None:
        return updated
    wanted = at.project.id_of(found.args[0])
    if wanted.name == "petisco.Uuid" or not at.project.is_a(found.args[0], "petisco.AggregateRoot"):
        return updated
    name = _imported(at, found.args[0], wanted)
    if name is None:
        at.leave(original, f"{code_of(original)}: give it the class of the ids, {wanted.last}, as its second argument")
        return updated
    index = cst.SubscriptElement(cst.Index(cst.Name(name)))
    return updated.with_changes(
        slice=[updated.slice[0].with_changes(comma=cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))), index]
    )


def _imported(at: Rewriting, aggregate: Type, wanted: Type) -> str | None:
    """Return the name of a class in the file at hand: imported as the file of the aggregate does, if it isn't yet."""
    for name in (*at.source.classes, *at.source.bindings):
        if at.project.type_named(at.source, name) == wanted:
            return name
    for name, dotted in aggregate.of.bindings.items() if aggregate.of else ():
        if aggregate.of and at.project.type_named(aggregate.of, name) == wanted and name == wanted.last:
            at.needs.add((dotted.rpartition(".")[0], name))
            return name
    return None


def called(at: Rewriting, original: cst.Call, updated: cst.Call) -> cst.BaseExpression | None:
    """Return what takes the place of a call of a use case, a repository or a bus; None for another call."""
    if not (isinstance(original.func, cst.Attribute) and isinstance(updated.func, cst.Attribute)):
        return None
    receiver, name = original.func.value, original.func.attr.value
    if name == "execute" and at.is_a(receiver, *USE_CASES):
        return updated.with_changes(func=updated.func.value)
    if name == "execute" and at.scope.type_of(receiver) is None:
        at.leave(
            original, f"{code_of(receiver)}.execute: its class isn't known; call a use case itself, without execute"
        )
    if name == "publish" and at.is_a(receiver, "petisco.CommandBus"):
        return updated.with_changes(func=updated.func.with_changes(attr=cst.Name("dispatch")))
    if not at.is_a(receiver, "petisco.CrudRepository"):
        return None
    function = (
        "list"
        if name == "retrieve_all"
        else "lambda _: None"
        if name in {"save", "update"} and original in at.valued
        else ""
    )
    return (
        cst.Call(cst.Attribute(updated, cst.Name("map")), [cst.Arg(cst.parse_expression(function))])
        if function
        else None
    )

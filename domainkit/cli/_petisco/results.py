"""Rewriting of meiga's Results for returns, using knowledge of which variables are a Success or a Failure."""

from collections.abc import Iterator, Mapping, Sequence

import libcst as cst
from libcst import matchers as m

from domainkit.cli._petisco.project import Type, code_of
from domainkit.cli._petisco.rewriting import Rewriting

_RESULT, _NOTHING = "meiga.Result", "meiga.BoolResult"
_CASES = "use fold, or `match` with Success and Failure"
_RAISING = frozenset({"unwrap_or_raise", "unwrap_or_throw"})
_OF_RESULTS_ALONE = frozenset({"unwrap_or_else", "unwrap_and"})
_OTHERS = frozenset({"handle", "map", "bind", "transform", "throw", "reraise", "set_value", "get_value"})
_ASKED = m.Attribute(m.Name(), m.Name("is_success") | m.Name("is_failure"))

Known = Mapping[str, bool]
"""The variables known to be a Success (True) or a Failure (False)."""


def learn(at: Rewriting, body: Sequence[cst.CSTNode], known: Known) -> None:
    """Note the uses of Results in a block that are known to be a Success or a Failure."""
    for statement in body:
        if isinstance(statement, cst.If):
            known = _branch(at, statement, known)
        elif not isinstance(statement, cst.FunctionDef | cst.ClassDef):
            after = _without(known, statement)
            is_line = isinstance(statement, cst.SimpleStatementLine)
            _note(at, statement, known if is_line else after)  # a loop may set it for its second round
            for block in _blocks(statement):
                learn(at, block.body, after)
            known = {**after, **_asserted(statement)}


def _branch(at: Rewriting, statement: cst.If, known: Known) -> Known:
    """Note the facts that an `if` implies in its branches, and return those known after it."""
    facts = _tested(statement.test)
    otherwise = {**known, **_opposite(facts)}
    _note(at, statement.test, known)
    learn(at, statement.body.body, {**known, **facts})
    if isinstance(statement.orelse, cst.Else):
        learn(at, statement.orelse.body.body, otherwise)
    elif statement.orelse:
        learn(at, [statement.orelse], otherwise)
    return _without(otherwise if _exits(statement.body.body[-1]) else known, statement)


def _without(known: Known, statement: cst.CSTNode) -> Known:
    """Return the facts that are still known after a statement that sets variables."""
    targets = m.findall(statement, m.AssignTarget() | m.For() | m.NamedExpr())
    names = {code_of(one.target) for one in targets if isinstance(one, cst.AssignTarget | cst.For | cst.NamedExpr)}
    return {name: fact for name, fact in known.items() if name not in names}


def _exits(last: cst.CSTNode) -> bool:
    small = last.body[-1] if isinstance(last, cst.SimpleStatementLine) else last
    return isinstance(small, cst.Return | cst.Raise | cst.Continue | cst.Break)


def _blocks(statement: cst.CSTNode) -> Iterator[cst.IndentedBlock]:
    for child in statement.children:
        if isinstance(child, cst.IndentedBlock):
            yield child
        elif isinstance(child, cst.ExceptHandler | cst.Else | cst.Finally):
            yield from _blocks(child)


def _tested(test: cst.BaseExpression) -> Known:
    """Return the facts that a condition implies."""
    if isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not):
        return _opposite(_tested(test.expression))
    asks = isinstance(test, cst.Attribute) and m.matches(test, _ASKED)
    return {code_of(test.value): test.attr.value == "is_success"} if asks and isinstance(test, cst.Attribute) else {}


def _opposite(facts: Known) -> Known:
    return {name: not fact for name, fact in facts.items()}


def _asserted(statement: cst.CSTNode) -> Known:
    first = statement.body[0] if isinstance(statement, cst.SimpleStatementLine) else None
    return _tested(first.test) if isinstance(first, cst.Assert) else {}


def _note(at: Rewriting, node: cst.CSTNode, known: Known) -> None:
    for use in m.findall(node, m.Attribute(m.Name())):
        name = code_of(use).partition(".")[0]
        if name in known:
            at.facts[use] = known[name]
    for case in m.findall(node, m.IfExp(_TESTS)):
        either = cst.ensure_type(case, cst.IfExp)
        facts = _tested(either.test)
        _note(at, either.body, {**known, **facts})
        _note(at, either.orelse, {**known, **_opposite(facts)})


_TESTS = _ASKED | m.UnaryOperation(m.Not(), _ASKED)


def attribute(at: Rewriting, original: cst.Attribute, updated: cst.Attribute) -> cst.BaseExpression:
    """Return the replacement for an attribute of a Result, or for the `value` of an id."""
    name, owner, found = original.attr.value, code_of(updated.value), at.scope.type_of(original.value)
    if name in {"is_success", "is_failure"}:
        return at.made(f"is_successful({owner})" if name == "is_success" else f"not is_successful({owner})")
    if name != "value":
        return updated
    if original in at.facts and not (at.facts[original] and found and found.name == _NOTHING):
        return cst.Call(updated.with_changes(attr=cst.Name("unwrap" if at.facts[original] else "failure")))
    if found and at.project.is_a(found, "petisco.Uuid"):
        return at.made(f"str({owner}.value)" if found.is_optional else f"str({owner})")
    if at.project.is_a(found, _RESULT):
        at.leave(original, f"{owner}.value: a value or an error (of a BoolResult None); write unwrap() or failure()")
    elif found is None:
        at.leave(original, f"{owner}.value: its class isn't known; write str() for a Uuid, unwrap() for a Result")
    return updated


def called(at: Rewriting, original: cst.Call, updated: cst.Call) -> cst.BaseExpression | None:
    """Return the replacement for a call of a Result's class or method; None for another call."""
    func, new = original.func, updated.func
    if at.project.is_a(at.scope.class_of(func), _RESULT):
        return _constructed(at, original, updated)
    if not (isinstance(func, cst.Attribute) and isinstance(new, cst.Attribute)):
        return None
    name, owner, found = func.attr.value, code_of(new.value), at.scope.type_of(func.value)
    is_result = func in at.facts or at.project.is_a(found, _RESULT)
    if name in {"unwrap", "unwrap_or"} and found and found.name == _NOTHING:
        at.leave(original, f"{owner}.{name}: True is None here; use is_successful({owner})")
    elif name == "unwrap_or" and (found is None or is_result):
        return updated.with_changes(func=new.with_changes(attr=cst.Name("value_or")))
    elif name == "unwrap" and is_result and not at.facts.get(func):
        return cst.parse_expression(f"{owner}.value_or(None)")
    elif name in _RAISING | {"unwrap_or_return"}:
        if not original.args and (name not in _RAISING or (at.is_guarded() and not at.tries)):
            return updated.with_changes(func=new.with_changes(attr=cst.Name("unwrap")))
        at.leave(original, f"{owner}.{name}: unwrap() would raise UnwrapFailedError; {_CASES}")
    elif name in _OF_RESULTS_ALONE or (name in _OTHERS and is_result):
        at.leave(original, f"{owner}.{name}: a Result is immutable here; {_CASES}")
    return None


def _constructed(at: Rewriting, original: cst.Call, updated: cst.Call) -> cst.BaseExpression:
    """Return the replacement for `Success()`, `Failure()`, and for `Success(True)` in a BoolResult."""
    if at.named(original.func) == _RESULT:
        at.leave(original, "Result(...): not constructed directly here; write Success(...) or Failure(...)")
        return updated
    answer, is_success = at.answer(), at.is_a(original, "meiga.Success")
    is_true = m.matches(original, m.Call(args=[m.Arg(m.Name("True"))])) and answer and answer.name == _NOTHING
    if original.args and not is_true:
        return updated
    return success(at) if is_success else at.made("Failure(DomainError())")


def success(at: Rewriting) -> cst.BaseExpression:
    """Return the replacement for meiga's `isSuccess`: `Success(True)` if the current function returns a bool."""
    answer = at.answer()
    is_bool = answer is not None and answer.args[:1] == (Type("bool"),)
    return at.made("Success(True)" if is_bool else "Success(None)")


def compared(at: Rewriting, original: cst.Comparison, updated: cst.Comparison) -> cst.BaseExpression:
    """Return `is_successful(x)` for `x == isSuccess` of a BoolResult; other comparisons unchanged."""
    with_constant = [at.named(one.comparator) in {"meiga.isSuccess", "meiga.isFailure"} for one in original.comparisons]
    if not any(with_constant):
        return updated
    found, first = at.scope.type_of(original.left), original.comparisons[0]
    is_equal = len(with_constant) == 1 and isinstance(first.operator, cst.Equal)
    if is_equal and found and found.name == _NOTHING and at.named(first.comparator) == "meiga.isSuccess":
        return at.made(f"is_successful({code_of(updated.left)})")
    at.leave(original, f"{code_of(original)}: compares the value in the Result; use is_successful")
    return updated


def asserted(at: Rewriting, original: cst.Expr, updated: cst.Expr) -> cst.Assert | None:
    """Return the `assert` for meiga's `assert_success` and `assert_failure`; None for another statement."""
    call = updated.value
    name = code_of(call.func).rpartition(".")[2] if isinstance(call, cst.Call) else ""
    if not (
        isinstance(call, cst.Call)
        and isinstance(call.func, cst.Attribute)
        and name in {"assert_success", "assert_failure"}
    ):
        return None
    owner, is_success = code_of(call.func.value), name == "assert_success"
    given = {arg.keyword.value: code_of(arg.value) for arg in call.args if arg.keyword}
    match given:
        case {"value_is_equal_to": value, **others} if not others:
            return cst.Assert(at.made(f"{owner} == {'Success' if is_success else 'Failure'}({value})"))
        case {"value_is_instance_of": cls, **others} if not others:
            return cst.Assert(at.made(f"isinstance({owner}.{'unwrap' if is_success else 'failure'}(), {cls})"))
        case {} if not call.args:
            return cst.Assert(at.made(f"is_successful({owner})" if is_success else f"not is_successful({owner})"))
    at.leave(original, f"{owner}.{name}: assert each part separately")
    return None


def is_missing_method(at: Rewriting, statement: cst.Return) -> bool:
    """Check if an abstract method returns NotImplementedMethodError."""
    is_abstract = at.function is not None and any("abstractmethod" in code_of(one) for one in at.function.decorators)
    return is_abstract and at.named(statement.value) == "meiga.NotImplementedMethodError"


def raised(at: Rewriting, original: cst.Raise, updated: cst.Raise) -> cst.BaseSmallStatement:
    """Return a `return` of a Failure for a `raise` that petisco turned into one; other statements unchanged."""
    error = original.exc
    is_error = error is not None and at.is_a(error, "meiga.Error")
    is_class = error is not None and at.project.is_a(at.scope.class_of(error), "meiga.Error")
    if not (at.is_guarded() and updated.exc and (is_error or is_class)):
        return updated
    if at.tries:
        at.leave(original, "an error raised inside of `try` becomes an UnknownError here; return a Failure with it")
        return updated
    return cst.Return(at.made(f"Failure({code_of(updated.exc)}{'()' if is_class else ''})"))

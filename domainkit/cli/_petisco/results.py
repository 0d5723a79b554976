"""Results of meiga as those of returns: what is asked of them, and which of the two they are where that is known."""

from collections.abc import Iterator, Mapping, Sequence

import libcst as cst
from libcst import matchers as m

from domainkit.cli._petisco.rewriting import Rewriting, code_of

RESULT = "meiga.Result"
_CASES = "use fold, or `match` with Success and Failure"
_OF_RESULTS_ALONE = frozenset({"unwrap_or_else", "unwrap_and"})
_OTHERS = frozenset({"handle", "map", "bind", "transform", "throw", "reraise", "set_value", "get_value"})
_ASKED = m.Attribute(m.Name(), m.Name("is_success") | m.Name("is_failure"))


def learn(at: Rewriting, body: Sequence[cst.CSTNode], known: Mapping[str, bool]) -> Mapping[str, bool]:
    """Note the uses of Results in a block that are known to be a Success or not; return what is known after it."""
    for statement in body:
        if isinstance(statement, cst.If):
            known = _branch(at, statement, known)
        elif not isinstance(statement, cst.FunctionDef | cst.ClassDef):
            assigned = {
                code_of(cst.ensure_type(one, cst.AssignTarget).target) for one in m.findall(statement, m.AssignTarget())
            }
            after = {name: fact for name, fact in known.items() if name not in assigned}
            is_line = isinstance(statement, cst.SimpleStatementLine)
            _note(at, statement, known if is_line else after)
            for block in _blocks(statement):
                learn(at, block.body, after)
            first = statement.body[0] if isinstance(statement, cst.SimpleStatementLine) else None
            known = after | (_tested(first.test) if isinstance(first, cst.Assert) else {})
    return known


def _branch(at: Rewriting, statement: cst.If, known: Mapping[str, bool]) -> Mapping[str, bool]:
    """Note what an `if` says of its two branches, and return what is known after it."""
    _note(at, statement.test, known)
    facts = _tested(statement.test)
    otherwise = {name: not fact for name, fact in facts.items()}
    learn(at, statement.body.body, {**known, **facts})
    if isinstance(statement.orelse, cst.Else):
        learn(at, statement.orelse.body.body, {**known, **otherwise})
    elif statement.orelse:
        _branch(at, statement.orelse, {**known, **otherwise})
    return {**known, **otherwise} if _exits(statement.body) else known


def _exits(block: cst.BaseSuite) -> bool:
    last = block.body[-1]
    small = last.body[-1] if isinstance(last, cst.SimpleStatementLine) else last
    return isinstance(small, cst.Return | cst.Raise | cst.Continue | cst.Break)


def _blocks(statement: cst.CSTNode) -> Iterator[cst.IndentedBlock]:
    for child in statement.children:
        if isinstance(child, cst.IndentedBlock):
            yield child
        elif isinstance(child, cst.ExceptHandler | cst.Else | cst.Finally):
            yield from _blocks(child)


def _tested(test: cst.BaseExpression) -> dict[str, bool]:
    """Return what a condition says of a variable."""
    if isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not):
        return {name: not fact for name, fact in _tested(test.expression).items()}
    if isinstance(test, cst.Attribute) and m.matches(test, _ASKED):
        return {code_of(test.value): test.attr.value == "is_success"}
    return {}


def _note(at: Rewriting, node: cst.CSTNode, known: Mapping[str, bool]) -> None:
    for one in m.findall(node, m.Attribute(m.Name())):
        name = code_of(cst.ensure_type(one, cst.Attribute).value)
        if name in known:
            at.facts[one] = known[name]
    for case in m.findall(node, m.IfExp()):
        facts = _tested(cst.ensure_type(case, cst.IfExp).test)
        if facts:
            _note(at, cst.ensure_type(case, cst.IfExp).body, {**known, **facts})
            _note(
                at,
                cst.ensure_type(case, cst.IfExp).orelse,
                {**known, **{name: not fact for name, fact in facts.items()}},
            )


def attribute(at: Rewriting, original: cst.Attribute, updated: cst.Attribute) -> cst.BaseExpression:
    """Return what takes the place of an attribute of a Result, or of an id."""
    name, owner = original.attr.value, code_of(updated.value)
    if name in {"is_success", "is_failure"}:
        return at.made(f"is_successful({owner})" if name == "is_success" else f"not is_successful({owner})")
    if name != "value":
        return updated
    if original in at.facts and not (at.facts[original] and holds_nothing(at, original.value)):
        return cst.Call(updated.with_changes(attr=cst.Name("unwrap" if at.facts[original] else "failure")))
    if at.is_a(original.value, "petisco.Uuid"):
        return cst.Call(cst.Name("str"), [cst.Arg(updated.value)])
    if at.is_a(original.value, RESULT):
        at.leave(original, f"{owner}.value: a value, an error, or None of a BoolResult; write unwrap() or failure()")
    elif at.scope.type_of(original.value) is None:
        at.leave(
            original,
            f"{owner}.value: its class isn't known; of a Uuid write str(...), of a Result unwrap() or failure()",
        )
    return updated


def called(at: Rewriting, original: cst.Call, updated: cst.Call) -> cst.BaseExpression | None:
    """Return what takes the place of a call of a Result's method, or None."""
    func, new = original.func, updated.func
    if at.project.is_a(at.scope.class_of(func), RESULT):
        return _constructed(at, original, updated)
    if not (isinstance(func, cst.Attribute) and isinstance(new, cst.Attribute)):
        return None
    name, owner = func.attr.value, code_of(new.value)
    renamed = {"unwrap_or_return": "unwrap", "unwrap_or": "value_or"}.get(name)
    if name in {"unwrap_or_raise", "unwrap_or_throw"} and at.is_guarded() and not at.tries:
        renamed = "unwrap"
    if name in {"unwrap", "unwrap_or"} and holds_nothing(at, func.value):
        at.leave(original, f"{owner}.{name}: what was True is None here; ask is_successful({owner})")
        return None
    if renamed and len(original.args) == (name == "unwrap_or"):
        return updated.with_changes(func=new.with_changes(attr=cst.Name(renamed)))
    if renamed or name in {"unwrap_or_raise", "unwrap_or_throw"}:
        at.leave(original, f"{owner}.{name}: here unwrap() raises UnwrapFailedError; write out the two cases")
    is_result = func in at.facts or at.is_a(func.value, RESULT)
    if name in _OF_RESULTS_ALONE or (name in _OTHERS and is_result):
        at.leave(original, f"{owner}.{name}: a Result doesn't change here; {_CASES}")
    if name == "unwrap" and is_result and at.facts.get(func) is not True:
        return updated.with_changes(func=new.with_changes(attr=cst.Name("value_or")), args=[cst.Arg(cst.Name("None"))])
    return None


def _constructed(at: Rewriting, original: cst.Call, updated: cst.Call) -> cst.BaseExpression | None:
    """Return what takes the place of `Success()`, `Failure()`, or `Result(success=...)`."""
    keyword = original.args[0].keyword if original.args else None
    if not original.args or (m.matches(original.args[0].value, m.Name("True")) and answers_nothing(at)):
        return success(at) if at.is_a(original, "meiga.Success") else at.made("Failure(DomainError())")
    if keyword and keyword.value in {"success", "failure"}:
        return at.made(f"{keyword.value.capitalize()}({code_of(updated.args[0].value)})")
    return updated


def holds_nothing(at: Rewriting, node: cst.BaseExpression) -> bool:
    """Return if an expression is a BoolResult, whose Success holds nothing here."""
    found = at.scope.type_of(node)
    return found is not None and found.name == "meiga.BoolResult"


def answers_nothing(at: Rewriting) -> bool:
    """Return if the function at hand returns a BoolResult."""
    returns = at.function and at.function.returns
    found = at.project.type_of(at.source, returns.annotation) if returns else None
    return found is not None and found.name == "meiga.BoolResult"


def success(at: Rewriting) -> cst.BaseExpression:
    """Return the Success of meiga's `isSuccess`: of True where the function at hand says that it returns a bool."""
    returns = at.function and at.function.returns
    found = at.project.type_of(at.source, returns.annotation) if returns else None
    is_bool = found is not None and found.args[:1] and found.args[0] is not None and found.args[0].name == "bool"
    return at.made("Success(True)" if is_bool else "Success(None)")


def asserted(at: Rewriting, original: cst.Expr, updated: cst.Call) -> cst.Assert | None:
    """Return the `assert` for meiga's `assert_success` and `assert_failure`, or None for another call."""
    func = updated.func
    if not isinstance(func, cst.Attribute) or func.attr.value not in {"assert_success", "assert_failure"}:
        return None
    owner, is_success = code_of(func.value), func.attr.value == "assert_success"
    keywords = {one.keyword.value: code_of(one.value) for one in updated.args if one.keyword}
    container, inner = ("Success", "unwrap") if is_success else ("Failure", "failure")
    match (len(updated.args), keywords):
        case 0, _:
            return cst.Assert(at.made(f"is_successful({owner})" if is_success else f"not is_successful({owner})"))
        case 1, {"value_is_equal_to": value}:
            return cst.Assert(at.made(f"{owner} == {container}({value})"))
        case 1, {"value_is_instance_of": cls}:
            return cst.Assert(at.made(f"isinstance({owner}.{inner}(), {cls})"))
    at.leave(original, f"{owner}.{func.attr.value}: assert each of the two alone")
    return None


def is_missing_method(at: Rewriting, statement: cst.Return) -> bool:
    """Return if an abstract method returns NotImplementedMethodError."""
    named = at.scope.class_of(statement.value) if statement.value else None
    abstract = at.function and any("abstractmethod" in code_of(one) for one in at.function.decorators)
    return named is not None and named.name == "meiga.NotImplementedMethodError" and bool(abstract)


def raised(at: Rewriting, original: cst.Raise, updated: cst.Raise) -> cst.BaseSmallStatement:
    """Return a `raise` of an error where petisco made it a Failure: the Failure."""
    if original.exc is None or updated.exc is None or not at.is_guarded():
        return updated
    named = at.scope.class_of(original.exc)
    if not (at.is_a(original.exc, "meiga.Error") or at.project.is_a(named, "meiga.Error")):
        return updated
    if at.tries:
        at.leave(original, "an error raised inside of try: it becomes an UnknownError here; return a Failure with it")
        return updated
    return cst.Return(at.made(f"Failure({code_of(updated.exc)}{'()' if named else ''})"))

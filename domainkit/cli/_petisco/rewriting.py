"""State of the rewriting of one file: its position, the needed imports, and the places left to a person."""

from collections.abc import Callable

import libcst as cst
from attrs import define, field
from libcst import matchers as m

from domainkit.cli._petisco.names import HOMES
from domainkit.cli._petisco.project import (
    Project,
    Source,
    Type,
    changes_self,
    code_of,
    fields_of,
    methods_of,
    returns_nothing,
)
from domainkit.cli._petisco.types import Scope

VALUE_OBJECT, AGGREGATE, MESSAGE = "petisco.ValueObject", "petisco.AggregateRoot", "petisco.Message"
USE_CASES = ("petisco.UseCase", "petisco.AsyncUseCase")
SUBSCRIBERS = ("petisco.DomainEventSubscriber", "petisco.CommandSubscriber")
_EARLY = frozenset({"meiga.early_return", "meiga.async_early_return", "meiga.meiga"})


@define
class Rewriting:
    """State of the rewriting of one file."""

    project: Project
    source: Source
    line_of: Callable[[cst.CSTNode], int]
    name_of: Callable[[cst.CSTNode], str | None]
    """The dotted path that a name of petisco or meiga stands for."""
    scopes: list[Scope] = field(factory=list)
    classes: list[Type] = field(factory=list)
    functions: list[cst.FunctionDef] = field(factory=list)
    tries: int = 0
    annotations: int = 0
    facts: dict[cst.CSTNode, bool] = field(factory=dict)
    """The uses of a Result that are known to be a Success (True) or a Failure (False)."""
    valued: set[cst.CSTNode] = field(factory=set)
    """The expressions whose value is returned or assigned."""
    unpacked: set[cst.CSTNode] = field(factory=set)
    """The expressions that are assigned to a single name."""
    pulled: list[str] = field(factory=list)
    """The aggregates whose events are pulled before the current statement."""
    may_pull: bool = False
    imports: list[cst.ImportFrom] = field(factory=list)
    skipped: set[cst.CSTNode] = field(factory=set)
    """The names that are removed."""
    used: set[str] = field(factory=set)
    dropped: set[str] = field(factory=set)
    modules: set[str] = field(factory=set)
    """The modules used by name: `domainkit` in `domainkit.Uuid`."""
    needs: set[tuple[str, str]] = field(factory=set)
    left: set[tuple[int, str]] = field(factory=set)

    @property
    def scope(self) -> Scope:
        """The innermost scope."""
        return self.scopes[-1]

    @property
    def owner(self) -> Type:
        """The current class; outside of classes, one without a name."""
        return self.classes[-1] if self.classes else Type("")

    @property
    def function(self) -> cst.FunctionDef | None:
        """The innermost function."""
        return self.functions[-1] if self.functions else None

    @property
    def gone(self) -> set[str]:
        """The names that the file no longer uses."""
        return self.dropped - self.used

    def leave(self, node: cst.CSTNode, text: str) -> None:
        """Leave a place to a person."""
        self.left.add((self.line_of(node), text))

    def made(self, text: str) -> cst.BaseExpression:
        """Return an expression, and import its names that the rewriting adds."""
        node = cst.parse_expression(text)
        for one in m.findall(node, m.Name(m.MatchIfTrue(lambda name: name in HOMES))):
            self.needs.add((HOMES[code_of(one)], code_of(one)))
        return node

    def owns(self, *names: str) -> bool:
        """Check if the current class is one of these."""
        return self.project.is_a(self.owner, *names)

    def has_field(self, name: str) -> bool:
        """Check if the current class declares a field."""
        return self.owner.node is not None and name in fields_of(self.owner.node)

    def is_a(self, node: cst.BaseExpression, *names: str) -> bool:
        """Check if an expression is known to be of one of these classes."""
        return self.project.is_a(self.scope.type_of(node), *names)

    def named(self, node: cst.BaseExpression | None) -> str:
        """Return the full name of the class or function that an expression names; an empty text for None."""
        found = self.project.type_of(self.source, node) if node else None
        return found.name if found else ""

    def answer(self) -> Type | None:
        """Return the class that the current function returns, if it is annotated."""
        returns = self.function.returns if self.function else None
        return self.project.type_of(self.source, returns.annotation) if returns else None

    def changes_owner(self) -> bool:
        """Check if the current function is a method that has to return its changed aggregate."""
        function, node = self.function, self.owner.node
        if not (function and node and self.owns(AGGREGATE) and methods_of(node).get(function.name.value) is function):
            return False
        return changes_self(function, self.project.changing(self.owner)) and returns_nothing(function)

    def is_guarded(self) -> bool:
        """Check if errors raised in the current function have to become a returned Failure."""
        function = self.function
        return function is not None and (self.has_guard(function) or any(map(self.is_early, function.decorators)))

    def has_guard(self, function: cst.FunctionDef) -> bool:
        """Check if a method has the guard of its class, so that it needs no early-return decorator."""
        name = function.name.value
        return (name == "execute" and self.owns(*USE_CASES)) or (name == "handle" and self.owns(*SUBSCRIBERS))

    def is_early(self, decorator: cst.Decorator) -> bool:
        """Check if a decorator is one of meiga's for early return."""
        return self.named(decorator.decorator) in _EARLY

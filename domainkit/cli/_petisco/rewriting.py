"""The state of the rewriting of one file: where it is, what it needs, and what it leaves to a person."""

from collections.abc import Callable

import libcst as cst
from attrs import define, field
from libcst import matchers as m

from domainkit.cli._petisco.names import HOMES
from domainkit.cli._petisco.project import Project, Source, Type, changes_self, methods_of, returns_nothing
from domainkit.cli._petisco.types import Scope


@define
class Rewriting:
    """The state of the rewriting of one file."""

    project: Project
    source: Source
    line_of: Callable[[cst.CSTNode], int]
    scopes: list[Scope] = field(factory=list)
    classes: list[Type] = field(factory=list)
    functions: list[cst.FunctionDef] = field(factory=list)
    tries: list[cst.CSTNode] = field(factory=list)
    left: dict[tuple[int, str], None] = field(factory=dict)
    needs: set[tuple[str, str]] = field(factory=set)
    facts: dict[cst.CSTNode, bool] = field(factory=dict)
    """The uses of a Result of which it is known if it is a Success."""
    valued: set[cst.CSTNode] = field(factory=set)
    """The expressions whose value is returned or assigned."""
    valued_by_name: set[cst.CSTNode] = field(factory=set)
    """Those that are assigned to one name."""
    may_pull: bool = False
    """If a statement can be put before the expression at hand."""
    pulled: list[tuple[str, str]] = field(factory=list)
    """The variables to put before the statement at hand: recorded events, and the aggregate that they are pulled from."""

    @property
    def scope(self) -> Scope:
        """The innermost scope."""
        return self.scopes[-1]

    @property
    def owner(self) -> Type | None:
        """The class whose body this is, or whose method."""
        return self.classes[-1] if self.classes else None

    @property
    def function(self) -> cst.FunctionDef | None:
        """The innermost function."""
        return self.functions[-1] if self.functions else None

    def leave(self, node: cst.CSTNode, text: str) -> None:
        """Leave a place to a person."""
        self.left[self.line_of(node), text] = None

    def made(self, text: str) -> cst.BaseExpression:
        """Return an expression, and have the names in it imported that the rewriting brings."""
        node = cst.parse_expression(text)
        for one in m.findall(node, m.Name(m.MatchIfTrue(lambda name: name in HOMES))):
            name = cst.ensure_type(one, cst.Name).value
            self.needs.add((HOMES[name], name))
        return node

    def owns(self, *names: str) -> bool:
        """Return if the class at hand is one of these."""
        return self.project.is_a(self.owner, *names)

    def is_a(self, node: cst.BaseExpression, *names: str) -> bool:
        """Return if an expression is known to be of one of these classes."""
        return self.project.is_a(self.scope.type_of(node), *names)

    def changes_owner(self) -> bool:
        """Return if the function at hand is to return the changed aggregate."""
        function = self.function
        if function is None or not self.owner or not self.owner.node or not self.owns("petisco.AggregateRoot"):
            return False
        if methods_of(self.owner.node).get(function.name.value) is not function:
            return False
        return changes_self(function, self.project.changing(self.owner)) and returns_nothing(function)

    def is_guarded(self) -> bool:
        """Return if what the function at hand raises is to be a Failure that it returns."""
        if self.function is None:
            return False
        called = self.function.name.value
        executes = called == "execute" and self.owns("petisco.UseCase", "petisco.AsyncUseCase")
        handles = called == "handle" and self.owns("petisco.DomainEventSubscriber", "petisco.CommandSubscriber")
        return executes or handles or any(map(self.returns_early, self.function.decorators))

    def returns_early(self, decorator: cst.Decorator) -> bool:
        """Return if a decorator is one of those of meiga that return early."""
        found = self.project.type_of(self.source, decorator.decorator)
        return found is not None and found.name in EARLY


EARLY = frozenset({"meiga.early_return", "meiga.async_early_return", "meiga.meiga"})


def code_of(node: cst.CSTNode) -> str:
    """Return the source of a node."""
    return cst.Module([]).code_for_node(node)

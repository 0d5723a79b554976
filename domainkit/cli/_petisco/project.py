"""All files of an application together, to resolve names to classes, and read their members."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

import libcst as cst
from attrs import evolve, field, frozen
from libcst import matchers as m
from libcst.helpers import get_full_name_for_node
from libcst.metadata import MetadataWrapper

from domainkit.cli._petisco.names import PARENTS, ROOTS, canonical

_MAX_REEXPORTS = 10
"""The maximum number of modules through which a name is re-exported."""


@frozen(eq=False)
class Source:
    """Parsed file, with the objects that its module-level names are bound to."""

    path: Path
    wrapper: MetadataWrapper
    bindings: Mapping[str, str]
    classes: Mapping[str, cst.ClassDef]
    functions: Mapping[str, cst.FunctionDef]

    @property
    def module(self) -> cst.Module:
        """The syntax tree."""
        return self.wrapper.module

    @property
    def uses_petisco(self) -> bool:
        """True if the file itself imports petisco or meiga."""
        return any(dotted.split(".")[0] in ROOTS for dotted in self.bindings.values())

    @classmethod
    def read(cls, path: Path) -> "Source":
        """Parse the file at the absolute `path`; SyntaxError or ParserSyntaxError if it isn't Python."""
        wrapper = MetadataWrapper(cst.parse_module(path.read_bytes()))
        module = wrapper.module
        classes = {one.name.value: one for one in m.findall(module, m.ClassDef()) if isinstance(one, cst.ClassDef)}
        functions = {one.name.value: one for one in module.body if isinstance(one, cst.FunctionDef)}
        bindings: dict[str, str] = {}
        for node in m.findall(module, m.Import() | m.ImportFrom()):
            bindings.update(bound_by(node, path))
        return cls(path, wrapper, bindings, classes, functions)


def module_name(path: Path) -> str:
    """Return the full path of a file with dots, which ends with the dotted name of the module."""
    parts = path.with_suffix("").parts[1:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def bound_by(node: cst.CSTNode, path: Path) -> Iterator[tuple[str, str]]:
    """Yield each name that an import binds, with its dotted path, which starts with `/` if the import is relative."""
    if isinstance(node, cst.ImportFrom):
        home = (get_full_name_for_node(node.module) if node.module else None) or ""
        if node.relative:
            folder = "/" + ".".join(path.parents[len(node.relative) - 1].parts[1:])
            home = f"{folder}.{home}" if home else folder
        if isinstance(node.names, cst.ImportStar):
            yield "*", f"{home}.*"
            return
        for alias in node.names:
            yield _name_of(alias), f"{home}.{alias.evaluated_name}"
    else:
        for alias in cst.ensure_type(node, cst.Import).names:
            bound = _name_of(alias)
            yield (bound, alias.evaluated_name) if alias.asname else (bound.split(".")[0], bound.split(".")[0])


def _name_of(alias: cst.ImportAlias) -> str:
    return alias.evaluated_alias or alias.evaluated_name


@frozen
class Type:
    """Class by its canonical name, with its type arguments, and the file that defines it, if in the application."""

    name: str
    args: tuple["Type | None", ...] = ()
    of: Source | None = None
    is_optional: bool = field(default=False, eq=False)

    @property
    def last(self) -> str:
        """The name without its module."""
        return self.name.rpartition(".")[2]

    @property
    def node(self) -> cst.ClassDef | None:
        """The definition in the syntax tree."""
        return self.of.classes.get(self.last) if self.of else None


@frozen(eq=False)
class Project:
    """Files of an application."""

    sources: tuple[Source, ...]
    _by_module: dict[str, list[Source]] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        for source in self.sources:
            parts = module_name(source.path).split(".")
            for start in range(len(parts)):
                self._by_module.setdefault(".".join(parts[start:]), []).append(source)

    def type_named(self, source: Source, dotted: str) -> Type:
        """Return the class that a dotted name in a file stands for; a name that isn't resolved is kept."""
        whole = dotted
        for _ in range(_MAX_REEXPORTS):
            head, _, rest = dotted.partition(".")
            if not rest and (head in source.classes or head in source.functions):
                return Type(f"{module_name(source.path)}.{head}", of=source)
            whole = source.bindings.get(head, head) + (f".{rest}" if rest else "")
            if whole.split(".")[0] in ROOTS:
                return Type(canonical(whole))
            home, _, dotted = whole.rpartition(".")
            found = self._by_module.get(home.lstrip("/"), [])
            if len(found) != 1:
                break
            (source,) = found
        return Type(whole)

    def type_of(self, source: Source, annotation: cst.BaseExpression) -> Type | None:
        """Return the class of an annotation; of an optional one, the class that isn't None."""
        if isinstance(annotation, cst.SimpleString):
            try:
                annotation = cst.parse_expression(str(annotation.evaluated_value))
            except cst.ParserSyntaxError:  # another text, as in Literal["404.html"]
                return None
        if isinstance(annotation, cst.BinaryOperation):
            is_none = m.matches(annotation.left, m.Name("None"))
            return _optional(self.type_of(source, annotation.right if is_none else annotation.left))
        if isinstance(annotation, cst.Subscript):
            origin = self.type_of(source, annotation.value)
            indices = [one.slice.value for one in annotation.slice if isinstance(one.slice, cst.Index)]
            args = tuple(self.type_of(source, one) for one in indices)
            if origin is None or not args:
                return None
            if origin.last == "Optional":
                return _optional(args[0])
            return args[0] if origin.last == "Annotated" else Type(origin.name, args, origin.of)
        dotted = get_full_name_for_node(annotation)
        return self.type_named(source, dotted) if isinstance(annotation, cst.Name | cst.Attribute) and dotted else None

    def bases(self, found: Type) -> tuple[Type, ...]:
        """Return a class and its base classes, the nearest first."""
        known = [found]
        for one in known:
            direct = [Type(PARENTS[one.name], one.args)] if one.name in PARENTS else []
            if one.of and one.node:
                direct += [base for arg in one.node.bases if (base := self.type_of(one.of, arg.value))]
            known += [base for base in direct if base.name not in {other.name for other in known}]
        return tuple(known)

    def is_a(self, found: Type | None, *names: str) -> bool:
        """Check if a class is one of these, or a subclass of one."""
        return found is not None and any(base.name in names for base in self.bases(found))

    def has_petiscos_init(self, error: Type) -> bool:
        """Check if an error class has the constructor of petisco's DomainError."""
        bases = self.bases(error)
        own = any(base.node and "__init__" in methods_of(base.node) for base in bases)
        return not own and not any(base.name.startswith("petisco.Aggregate") for base in bases)

    def uses_others(self, source: Source) -> bool:
        """Check if a file imports an object that another file of the application defines."""
        return any(self.type_named(source, name).of not in {None, source} for name in source.bindings)

    def id_of(self, aggregate: Type) -> Type:
        """Return the class of the ids of an aggregate."""
        for base in self.bases(aggregate):
            annotated = fields_of(base.node).get("aggregate_id") if base.node else None
            if base.of and annotated:
                return self.type_of(base.of, annotated.annotation.annotation) or Type("petisco.Uuid")
        return Type("petisco.Uuid")

    @cached_property
    def all_changing(self) -> frozenset[str]:
        """The names of all methods that change an aggregate of the application."""
        types = (Type(f"{module_name(one.path)}.{name}", of=one) for one in self.sources for name in one.classes)
        aggregates = (one for one in types if self.is_a(one, "petisco.AggregateRoot"))
        return frozenset().union(*map(self.changing, aggregates))

    @cached_property
    def keywords_of_execute(self) -> frozenset[str]:
        """The keyword arguments in all calls of `execute`."""
        calls = m.Call(func=m.Attribute(attr=m.Name("execute")))
        found = (cst.ensure_type(call, cst.Call) for one in self.sources for call in m.findall(one.module, calls))
        return frozenset(arg.keyword.value for call in found for arg in call.args if arg.keyword)

    def changing(self, aggregate: Type) -> frozenset[str]:
        """Return the methods that change an aggregate and return None: they are rewritten to return the changed one."""
        found: frozenset[str] = CHANGING
        methods = {
            name: method
            for base in self.bases(aggregate)
            if base.node
            for name, method in methods_of(base.node).items()
        }
        while more := {name for name, method in methods.items() if name not in found and _changes(method, found)}:
            found |= more
        return found


def _optional(found: Type | None) -> Type | None:
    return found and evolve(found, is_optional=True)


CHANGING = frozenset({"record", "clear_domain_events"})
"""The methods of an AggregateRoot that change it."""

_SELF = m.Attribute(value=m.Name("self"))


def changes_self(method: cst.FunctionDef, changing: frozenset[str]) -> bool:
    """Check if a method sets an attribute of `self`, or calls a method that does."""
    if method.decorators or not method.params.params or method.name.value == "__init__":
        return False
    sets = m.Assign(targets=[m.ZeroOrMore(), m.AssignTarget(_SELF), m.ZeroOrMore()]) | m.AugAssign(target=_SELF)
    calls = m.Call(func=m.Attribute(m.Name("self"), m.Name(m.MatchIfTrue(lambda name: name in changing))))
    return bool(m.findall(method.body, sets | calls | m.AnnAssign(target=_SELF)))


def returns_nothing(method: cst.FunctionDef) -> bool:
    """Check if a method always returns None."""
    annotated = method.returns and not m.matches(method.returns.annotation, m.Name("None"))
    values = [cst.ensure_type(one, cst.Return).value for one in m.findall(method.body, m.Return())]
    nested = m.findall(method.body, m.FunctionDef())
    return not annotated and not nested and all(value is None or m.matches(value, m.Name("None")) for value in values)


def _changes(method: cst.FunctionDef, changing: frozenset[str]) -> bool:
    return changes_self(method, changing) and returns_nothing(method)


def fields_of(cls: cst.ClassDef) -> dict[str, cst.AnnAssign]:
    """Return the annotated names in the body of a class, except class variables."""
    small = [line.body[0] for line in cls.body.body if isinstance(line, cst.SimpleStatementLine)]
    return {
        one.target.value: one
        for one in small
        if isinstance(one, cst.AnnAssign) and isinstance(one.target, cst.Name) and not _is_class_variable(one)
    }


def _is_class_variable(one: cst.AnnAssign) -> bool:
    return "ClassVar" in (get_full_name_for_node(one.annotation.annotation) or "")


def methods_of(cls: cst.ClassDef) -> dict[str, cst.FunctionDef]:
    """Return the functions in the body of a class."""
    return {one.name.value: one for one in cls.body.body if isinstance(one, cst.FunctionDef)}


def code_of(node: cst.CSTNode) -> str:
    """Return the source of a node."""
    return cst.Module([]).code_for_node(node)

"""The shape of the house: each file imports only from those above it, and nothing acts behind the reader's back."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import domainkit

ORDER: tuple[tuple[str, ...], ...] = (
    ("_fast", "_speedups"),  # what is done by slots: in C, and what leaves it to C or to Python
    ("_model",),  # how model classes are made: no word of the domain
    ("errors",),  # the tree of domain errors
    ("conversion",),  # objects to builtins and JSON, and back
    ("values",),  # ValueObject, Uuid
    ("secrets",),  # Secret
    ("handlers",),  # functions bound to a class of messages
    ("messages",),  # DomainEvent, Command
    ("envelopes",),  # what stands around the attributes of any message
    ("causation",),  # which message is being handled: in a context variable, which is no state of the process
    ("aggregates",),  # AggregateRoot
    ("versions",),  # from old versions of messages, and to them
    ("codec",),  # MessageCodec
    ("results",),  # pipeline, fold, collect
    ("do_notation",),  # early_return
    ("projections",),  # folds of events
    ("tags",),  # queries of events by tags, and conditions of appends
    ("deciders",),  # decisions as pure functions
    ("ports",),  # what the domain asks of the outside
    ("states",),  # the state of an aggregate as JSON text, and back
    ("value_form",),  # values of any type as JSON text, and back
    ("ids",),  # the id of an aggregate as the key of a row, and back
    ("event_store",),  # the port of streams of events
    ("snapshot_store",),  # the port of states after some of the events of a stream
    ("read_models",),  # rows that are folds of events
    ("delivery",),  # what leaves the process, as bytes
    ("use_cases",),  # UseCase and its guard
    ("deciding",),  # what every way to run a decider has
    ("snapshots",),  # when they are written and read
    ("event_sourced",),  # a decider over a store of events
    ("state_stored",),  # a decider over a repository
    ("mediator",),  # typed dispatch
    ("http",),  # statuses and problem details
    ("memory",),  # every port in memory
    ("formats",),  # other views of the same messages
    ("adapters",),  # one for each framework
    ("testing",),  # for the tests of those who use the library
    ("_version",),  # that of the installation
    ("_lazy",),  # which names are loaded late
    ("__init__",),  # the public names
    ("cli",),  # the commands: they put adapters together
    ("__main__",),  # the command line
)
"""The order that holds: a file imports from the layers above its own, and from its own where that makes no circle."""

RANKS = {name: rank for rank, layer in enumerate(ORDER) for name in layer}
ROOT = Path(domainkit.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))


def module_name(path: Path) -> str:
    """Return the dotted name of the module in a file."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in FILES}
CALLED_BY_FRAMEWORKS = frozenset(
    {(f"domainkit.{name}", "domainkit.adapters.pydantic") for name in ("values", "secrets")}
)
"""Imports down the order in a hook that a framework alone calls, by a name that it prescribes: who calls it has it."""


@cache
def tree_of(path: Path) -> ast.Module:
    """Return the syntax tree of a file: all tests look at the same."""
    return ast.parse(path.read_text(encoding="utf-8"))


def layer_of(module: str) -> str:
    """Return the layer that a module of the package belongs to."""
    return module.split(".")[1] if "." in module else "__init__"


def imported_modules(path: Path) -> Iterator[tuple[int, str]]:
    """Yield each module of the package that a file imports, wherever in the file, with the line where it does."""
    package = module_name(path) if path.name == "__init__.py" else module_name(path).rpartition(".")[0]
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            up = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            base = ".".join(part for part in (up, node.module) if part)
            names = [f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base for alias in node.names]
        else:
            continue
        yield from ((node.lineno, name) for name in names if name.partition(".")[0] == "domainkit")


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_a_file_has_a_place_in_the_order(path: Path) -> None:
    """Every file of the package belongs to one layer of ORDER."""
    assert layer_of(module_name(path)) in RANKS


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_a_file_imports_only_from_above_it(path: Path) -> None:
    """No import leads down the order, not even one inside a function or under TYPE_CHECKING."""
    own = layer_of(module_name(path))
    down = [
        f"{path.name}:{line} imports {name}"
        for line, name in imported_modules(path)
        if RANKS[layer_of(name)] > RANKS[own] and (module_name(path), name) not in CALLED_BY_FRAMEWORKS
    ]
    assert [] == down


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_a_file_never_imports_the_package_itself(path: Path) -> None:
    """Inside the package a name is imported from the module that defines it: `import domainkit` would be a circle."""
    assert [] == [line for line, name in imported_modules(path) if name == "domainkit"]


def test_no_two_files_import_each_other() -> None:
    """Files have an order, late imports counted: following imports never leads back to where one started."""
    edges = {name: {target for _, target in imported_modules(path)} for name, path in MODULES.items()}
    left = {name: targets - {name} for name, targets in edges.items()}
    while free := {name for name, targets in left.items() if not targets & left.keys()}:
        left = {name: targets for name, targets in left.items() if name not in free}
    assert {} == left


def test_adapters_never_import_each_other() -> None:
    """An adapter is one file or folder: using one never needs what another needs."""
    crossing = [
        f"{module} imports {name}"
        for module, path in MODULES.items()
        for _, name in imported_modules(path)
        if _adapter(module) and _adapter(name) and _adapter(module) != _adapter(name)
    ]
    assert [] == crossing


def _adapter(module: str) -> str | None:
    parts = module.split(".")
    return parts[2] if parts[1:2] == ["adapters"] and len(parts) > 2 else None


def _own_private_names() -> set[str]:
    """Return each private name that the package itself gives to a function, an attribute or a field."""
    names = set()
    for path in FILES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.attr if isinstance(node, ast.Attribute) else node.id)
    return {name for name in names if name.startswith("_")}


INTERNALS = ROOT / "_model" / "internals.py"


def test_private_parts_of_other_libraries_are_in_one_file() -> None:
    """Details that a new version of attrs, cattrs or returns may change unannounced are kept in one place."""
    own = _own_private_names()
    foreign = {
        (path, node.attr)
        for path in FILES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.endswith("__")
        if node.attr not in own
    }
    assert {INTERNALS} == {path for path, _ in foreign}


def test_the_order_names_no_file_that_is_gone() -> None:
    """Each place is one of a module, a package or the part in C."""
    assert RANKS.keys() - {"_fast"} == {layer_of(module) for module in MODULES}


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_no_metaclass(path: Path) -> None:
    """No class of the library has a metaclass of its own; only abstract bases have the standard library's."""
    classes = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.ClassDef)]
    assert [] == [cls.name for cls in classes for keyword in cls.keywords if keyword.arg == "metaclass"]
    assert [] == [cls.name for cls in classes for base in cls.bases if ast.unparse(base) in {"type", "ABCMeta"}]


MUTABLE_LITERALS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
MUTABLE_CALLS = frozenset(
    {"list", "dict", "set", "bytearray", "deque", "defaultdict", "OrderedDict", "Counter", "WeakKeyDictionary"}
    | {"WeakValueDictionary", "WeakSet", "local", "Lock", "RLock", "Converter", "count", "iter"}
)
DECLARATIONS = frozenset({"__all__", "__slots__"})
LOCK_OF_IMPORTS = frozenset({"LOADING"})  # as global as the import system, whose lock it goes before


def mutable_globals(path: Path) -> Iterator[str]:
    """Yield the names at the top level of a file, or of a class in it, that hold something that can change."""
    tree = tree_of(path)
    bodies = [tree.body, *(node.body for node in ast.walk(tree) if isinstance(node, ast.ClassDef))]
    for statement in (statement for body in bodies for statement in body):
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            names = {ast.unparse(target) for target in targets}
            if _is_mutable(statement.value) and not names <= DECLARATIONS | LOCK_OF_IMPORTS:
                yield f"{path.name}:{statement.lineno} {', '.join(names)}"


def _is_mutable(value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        name = value.func.attr if isinstance(value.func, ast.Attribute) else ast.unparse(value.func)
        return name in MUTABLE_CALLS
    return isinstance(value, MUTABLE_LITERALS)


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_no_mutable_state_in_a_module(path: Path) -> None:
    """No module and no class holds a list, dict, set, cache or registry that a call could change."""
    assert [] == list(mutable_globals(path))


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_no_function_writes_a_global(path: Path) -> None:
    """No function has a `global` statement, or a cache for the whole process."""
    tree = tree_of(path)
    assert [] == [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Global)]
    decorators = [
        ast.unparse(decorator)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for decorator in node.decorator_list
    ]
    assert [] == [name for name in decorators if name.partition("(")[0].rpartition(".")[2] in {"cache", "lru_cache"}]

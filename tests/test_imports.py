"""Importing the library defines names, and does nothing else."""

import ast
import importlib
import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import domainkit
from domainkit import _lazy

ROOT = Path(__file__).parent.parent
CORE = frozenset({"attrs", "cattrs", "msgspec", "returns", "typing-extensions", "domainkit-attrs"})

OBSERVE = """
import builtins, io, json, logging, os, socket, sys, threading, warnings

def audit(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and "__pycache__" not in str(path):
            effects.append(f"opened {path} for writing")
    elif event in WATCHED:
        effects.append(event)

WATCHED = {"socket.__new__", "socket.connect", "subprocess.Popen", "os.mkdir", "os.remove", "os.rename", "os.putenv",
           "os.fork", "os.system", "signal.signal", "sys.setrecursionlimit"}
effects = []
before = set(sys.modules)

def loggers():
    return [None, *logging.Logger.manager.loggerDict]

def state():
    return {
        "handlers": [name for name in loggers() if logging.getLogger(name).handlers],
        "levels": [name for name in loggers() if logging.getLogger(name).level],
        "threads": [thread.name for thread in threading.enumerate()],
        "filters": len(warnings.filters),
        "recursion limit": sys.getrecursionlimit(),
        "environment": dict(os.environ),
        "files": sorted(os.listdir(".")),
        "hooks": [str(hook) for hook in (sys.excepthook, sys.displayhook, threading.excepthook, *sys.meta_path)],
    }

was = state()
sys.addaudithook(audit)
import domainkit
print(json.dumps({
    "effects": effects,
    "changed": [name for name, value in state().items() if value != was[name]],
    "modules": sorted(set(sys.modules) - before),
}))
"""


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Return what a fresh interpreter, in an empty directory, notices of `import domainkit`."""
    ran = subprocess.run(
        [sys.executable, "-c", OBSERVE],
        capture_output=True,
        check=False,
        cwd=tmp_path_factory.mktemp("empty"),
        text=True,
    )
    assert ran.stderr == "", ran.stderr
    found: dict[str, list[str]] = json.loads(ran.stdout)
    return found


def test_importing_has_no_side_effect(observed: dict[str, list[str]]) -> None:
    """Importing writes no file, opens no socket, starts no process or thread, and registers no handler or hook."""
    assert [] == observed["effects"]
    assert [] == observed["changed"]


def test_importing_prints_nothing(tmp_path: Path) -> None:
    """Importing writes neither to stdout nor to stderr, with all warnings shown."""
    command = [sys.executable, "-W", "error", "-c", "import domainkit"]
    ran = subprocess.run(command, capture_output=True, check=False, cwd=tmp_path, text=True)
    assert (0, "", "") == (ran.returncode, ran.stdout, ran.stderr)


def test_importing_needs_the_core_dependencies_only(observed: dict[str, list[str]]) -> None:
    """`import domainkit` loads attrs, cattrs, msgspec, returns and typing_extensions, and no other distribution."""
    distributions = packages_distributions()
    loaded = {name.partition(".")[0] for name in observed["modules"]}
    owners = {owner for name in loaded for owner in distributions.get(name, ()) if name not in sys.stdlib_module_names}
    assert {owner.lower().replace("_", "-") for owner in owners} <= CORE


def test_core_dependencies_are_those_declared() -> None:
    """pyproject.toml declares just the five core dependencies, each with a lower bound."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {requirement.partition(">=")[0] for requirement in project["dependencies"]}
    assert CORE == names | {project["name"]}


def test_importing_leaves_what_is_optional_alone(observed: dict[str, list[str]]) -> None:
    """`import domainkit` loads no adapter and nothing of the test kit."""
    optional = ("domainkit.adapters", "domainkit.testing")
    assert [] == [name for name in observed["modules"] if name.startswith(optional)]


LATE = [name for names in _lazy.NAMES.values() for name in names.split()]


def fresh(program: str) -> object:
    """Return what a program prints as JSON in a fresh interpreter."""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, text=True)
    assert ran.stderr == "", ran.stderr
    return json.loads(ran.stdout)


def test_importing_loads_the_model_alone(observed: dict[str, list[str]]) -> None:
    """Modules outside of the model are loaded later, and so is conversion, with cattrs and msgspec."""
    late = {"cattrs", "msgspec", "domainkit.conversion", *_lazy.NAMES}
    assert set() == late & {*observed["modules"]}
    assert {"domainkit.aggregates", "domainkit.errors", "domainkit.messages", "domainkit.values"} <= {
        *observed["modules"]
    }


def test_what_is_loaded_late_is_what_type_checkers_read() -> None:
    """The names that are loaded late are just those that `domainkit` imports for type checkers."""
    tree = ast.parse((ROOT / "domainkit" / "__init__.py").read_text(encoding="utf-8"))
    branch = next(node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in branch.body if isinstance(node, ast.ImportFrom)]
    assert "typing.TYPE_CHECKING" == ast.unparse(branch.test)
    assert {node.module: {alias.name for alias in node.names} for node in imports} == {
        home: {*names.split()} for home, names in _lazy.NAMES.items()
    }
    assert {*LATE} < {*domainkit.__all__}


@pytest.mark.parametrize("name", LATE)
def test_a_late_name(name: str) -> None:
    """A name that is loaded late is the one of its module, and the same each time."""
    home = next(home for home, names in _lazy.NAMES.items() if name in names.split())
    found = getattr(domainkit, name)
    assert found is getattr(importlib.import_module(home), name)
    assert found is getattr(domainkit, name)


def test_late_names_are_kept() -> None:
    """Once it was used, a name is an attribute like any other: nothing is looked up again."""
    program = """
import domainkit, json
domainkit.fold
print(json.dumps([name in vars(domainkit) for name in ("fold", "tap")]))
"""
    assert [True, False] == fresh(program)


def test_every_way_to_import() -> None:
    """Names that are loaded late are listed by `dir`, and found by `import *` and by `from domainkit import`."""
    program = """
import domainkit, json
listed = sorted(set(domainkit.__all__) - set(dir(domainkit)))
before = sorted(set(domainkit.__all__) - set(vars(domainkit)))
space = {}
exec("from domainkit import *", space)
from domainkit import Mediator
print(json.dumps([listed, len(before), sorted(set(domainkit.__all__) - set(space)), Mediator is space["Mediator"]]))
"""
    assert [[], len(LATE), [], True] == fresh(program)


def test_no_such_name() -> None:
    """A name that doesn't exist is refused as in any module."""
    with pytest.raises(AttributeError, match=r"^module 'domainkit' has no attribute 'Mediatro'"):
        domainkit.Mediatro  # type: ignore[attr-defined]  # type checkers refuse it too  # noqa: B018
    with pytest.raises(ImportError, match=r"^cannot import name 'Mediatro' from 'domainkit'"):
        exec("from domainkit import Mediatro", {})


def test_no_name_hides_a_module() -> None:
    """No public name is that of a module: importing that would put it in the name's place."""
    modules = {path.stem for path in (ROOT / "domainkit").iterdir()}
    assert set() == modules & {*domainkit.__all__}


def imported_from(path: Path) -> set[str]:
    """Return the modules that a file imports from, as they are written."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module is not None}


def test_no_circle_of_a_package_and_its_parts() -> None:
    """Threads may load parts at once: what imports its own parts is a package that others import as a whole.

    Otherwise one thread has the package and waits for the part, another has the part and waits for the package. See
    https://github.com/python/cpython/issues/83065.
    """
    files = {path: imported_from(path) for path in (ROOT / "domainkit").rglob("*.py")}
    for package in {"memory", *(home.split(".")[1] for home in _lazy.NAMES if home.count(".") > 1)}:
        parts = f"domainkit.{package}."
        inside = ROOT / "domainkit" / package
        gathers = any(name.startswith(parts) for name in files[inside / "__init__.py"])
        outside = {
            path.name for path, names in files.items() if inside not in path.parents and any(map(_is_in(parts), names))
        }
        late = {home for home in _lazy.NAMES if home.startswith(parts)}
        assert not gathers or (set(), set()) == (outside, late), package


def _is_in(parts: str) -> Callable[[str], bool]:
    return lambda name: name.startswith(parts)


def test_cattrs_is_loaded_as_a_whole() -> None:
    """The same holds for cattrs, which imports its own parts: it is loaded before a part of it is named."""
    names = ["cattrs", "domainkit.conversion.derive"]
    program = f"import domainkit.conversion, json, sys; print(json.dumps([name in sys.modules for name in {names}]))"
    assert [True, False] == fresh(program)


@pytest.mark.parametrize("turn", range(8))
def test_threads_load_parts_at_once(turn: int) -> None:
    """Threads that need different parts for the first time at the same moment all get them."""
    program = f"""
import json, sys, threading
import domainkit
sys.setswitchinterval(1e-6)
class Placed(domainkit.DomainEvent): ...
names = ["MessageCodec", "make_converter", "Limits", "UnsupportedTypeError", "Tagged", "InmemoryNotifier", "Mediator"]
uses = [lambda name=name: getattr(domainkit, name) for name in names] + 2 * [lambda: Placed().json()]
uses = uses[{turn}:] + uses[:{turn}]
barrier, done = threading.Barrier(len(uses)), []
def run(use):
    barrier.wait()
    done.append(use())
threads = [threading.Thread(target=run, args=(use,)) for use in uses]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps([len(uses), len(done)]))
"""
    assert [9, 9] == fresh(program)


def test_threads_wait_for_the_imports_of_another() -> None:
    """A thread that needs a part for the first time waits until no other thread is importing one."""
    program = """
import json, sys, threading, time
from itertools import groupby
import domainkit
class Placed(domainkit.DomainEvent): ...
asked = []
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("domainkit.", "cattrs")):
            asked.append(threading.get_ident())
            time.sleep(0.003)
sys.meta_path.insert(0, Slow())
uses = [lambda: domainkit.make_converter, lambda: Placed().json(), lambda: domainkit.MessageCodec(Placed)]
threads = [threading.Thread(target=use) for use in uses]
for thread in threads: thread.start()
for thread in threads: thread.join()
turns = [one for one, _ in groupby(asked)]
print(json.dumps([len(asked) > 20, len(turns) - len(set(turns))]))
"""
    assert [True, 0] == fresh(program)

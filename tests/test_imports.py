"""What importing the library does: it defines names, and nothing else."""

import json
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

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

"""The type checkers, each run once over all the code that tests ask about: `tests/typing`, the pages, README.md.

The id of a test that asks a checker ends with its name: conftest.py has one process run all tests of one checker.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
TYPING = ROOT / "tests" / "typing"
RIGHT = sorted([TYPING / "board.py", *TYPING.glob("right/*.py")])
WRONG = sorted(TYPING.glob("wrong/*.py"))
README = ROOT / "README.md"  # what it has in `py` is wrong on purpose
PAGES = sorted(page for page in [README, *DOCS.rglob("*.md")] if "_build" not in page.parts)
EXAMPLES = ROOT / "build" / "examples"
"""The place of the code of the pages: always the same place, so that the caches of mypy know it again."""

APPLICATIONS_CACHE = ROOT / ".mypy_cache" / "applications"
"""The cache of mypy for the applications that tests write: they import the same libraries."""

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
UNUSED = ("reportUnusedExpression", "reportUnusedVariable")
"""The rules of pyright for nearly every line that is only there to be wrong: it must find fault with the types."""

Errors: TypeAlias = dict[Path, dict[int, str]]
"""Complaints of a checker, by file and line."""


def run(*command: str) -> str:
    """Return the output of a checker; a crash of it is an error."""
    # pyright looks for python on PATH, and on the net for its own newest version
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    ran = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, check=False, cwd=ROOT, env=environment, text=True
    )
    assert ran.returncode in (0, 1), ran.stdout + ran.stderr
    return ran.stdout


def module_of(page: Path) -> str:
    """Return the Python blocks of a page as a module, each line at its place; a doctest without its output."""
    languages = ("```python", "```py") if page == README else ("```python",)
    lines: list[str] = []
    inside = doctest = False
    for line in page.read_text("utf-8").splitlines():
        if line.startswith("```"):
            inside, doctest = line in languages, False
            lines.append("")
            continue
        doctest = doctest or (inside and line.startswith(">>> "))
        prompt = line[:4] in (">>> ", "... ")
        lines.append(line[4:] if doctest and prompt else line if inside and not doctest else "")
    return "\n".join(lines) + "\n"


@cache
def examples() -> Mapping[Path, Path]:
    """Write the code of each page into a module, unless an extra that it needs is missing; return page by module."""
    found: dict[Path, Path] = {}
    for page in PAGES:
        text = module_of(page)
        if all(map(find_spec, re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE))):
            module = EXAMPLES / (re.sub(r"\W", "_", str(page.relative_to(ROOT).with_suffix(""))) + ".py")
            replace(module, text)
            found[module] = page
    return found


def replace(file: Path, text: str) -> None:
    """Write a file at once, since another process may do the same; one that is right stays as it is."""
    if file.exists() and file.read_text("utf-8") == text:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f"{file.name}.{os.getpid()}")
    new.write_text(text, "utf-8")
    new.replace(file)


def mypy(config: str, *further: Path) -> Errors:
    """Return the errors that mypy finds with a configuration, in `tests/typing` and in further files."""
    options = (f"--config-file={config}", f"--python-version={VERSION}")
    written = run("mypy", *options, "--output=json", *map(str, [*RIGHT, *WRONG, *further]))
    reports = [json.loads(line) for line in written.splitlines()]
    return by_line((ROOT / one["file"], one["line"], one["message"]) for one in reports if one["severity"] == "error")


def pyright() -> Errors:
    """Return the errors that pyright finds: in strict mode in `tests/typing`, in its standard mode in the pages."""
    modules, typing = [module.name for module in examples()], os.path.relpath(TYPING, EXAMPLES)  # it takes no other
    settings = {
        "include": [typing, *modules],
        "strict": [typing],
        "extraPaths": [typing],
        "pythonVersion": VERSION,
        "reportUnusedExpression": False,  # a doctest has expressions, which need no use
    }
    project = EXAMPLES / "pyrightconfig.json"
    replace(project, json.dumps(settings, indent=2))
    report = json.loads(run("pyright", "--outputjson", f"--pythonpath={sys.executable}", f"--project={project}"))
    assert len([*RIGHT, *WRONG, *modules]) == report["summary"]["filesAnalyzed"]
    return by_line(
        (Path(one["file"]), one["range"]["start"]["line"] + 1, one["message"])
        for one in report["generalDiagnostics"]
        if one["severity"] == "error" and not (one.get("rule") in UNUSED and Path(one["file"]) in WRONG)
    )


def by_line(reports: Iterable[tuple[Path, int, str]]) -> Errors:
    """Return the reports by file and line."""
    found: Errors = {}
    for path, line, message in reports:
        found.setdefault(path, {}).setdefault(line, message)
    return found


CHECKERS: Mapping[str, Callable[[], Errors]] = {
    "mypy": lambda: mypy("mypy.ini", *examples()),
    "mypy with the returns plugin": lambda: mypy("mypy-returns.ini"),
    "pyright": pyright,
}


@cache
def outcome_of(checker: str) -> Errors | AssertionError:
    """Run a checker, once; return what it finds, or why it failed."""
    try:
        return CHECKERS[checker]()
    except AssertionError as failed:
        return failed


def errors_of(checker: str) -> Errors:
    """Return all that a checker finds; skip if it isn't installed."""
    if find_spec(checker.partition(" ")[0]) is None:
        pytest.skip(f"{checker} is not installed: pip install --group types")
    outcome = outcome_of(checker)
    if isinstance(outcome, AssertionError):
        raise outcome
    return outcome


def missing(libraries: Iterable[str]) -> list[str]:
    """Return those that aren't installed."""
    return [one for one in libraries if find_spec(one) is None]

"""What type checkers say of code that uses the library: nothing of right code, and an error on each wrong line.

The files in `typing/right` must be clean, those in `typing/wrong` must have an error on exactly the lines marked
`# wrong: why`. `# wrong for mypy: why` marks what pyright does not see: attrs.evolve is typed by mypy's own plugin.
Each checker runs once, over all of them. Where an extra isn't installed its types are unknown, and the tests of files
that use them are skipped.
"""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pytest

import domainkit

ROOT = Path(__file__).parent.parent
FILES = ROOT / "tests" / "typing"
RIGHT = sorted([FILES / "board.py", *FILES.glob("right/*.py")])
WRONG = sorted(FILES.glob("wrong/*.py"))
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"

NEEDS: Mapping[str, tuple[str, ...]] = {
    "faststream": ("faststream", "aio_pika", "aiokafka", "nats", "redis"),
    "inbox": ("sqlalchemy",),
    "rabbitmq": ("aio_pika", "sqlalchemy"),
    "relay": ("aio_pika", "sqlalchemy"),
    "sql": ("sqlalchemy",),
    "starlette": ("starlette",),
    "tracing": ("opentelemetry", "sqlalchemy"),
}
"""The libraries whose types the files of a name need, right or wrong: they come with extras."""

EXTRAS = ("hypothesis", "pydantic", "starlette", "tenacity", *dict.fromkeys(chain(*NEEDS.values())))
"""The libraries that the types of all adapters need."""

UNUSED = ("reportUnusedExpression", "reportUnusedVariable")
"""What pyright says of nearly every line that is only there to be wrong: it must find fault with the types."""

Errors: TypeAlias = dict[Path, dict[int, str]]
"""What a checker complains of: by file, by line."""


class Report(NamedTuple):
    """What came of a run of a checker."""

    checker: str
    errors: Errors


def run(*command: str) -> str:
    """Return what a checker writes; a crash of it is an error."""
    # pyright looks for python on PATH, and on the net for its own newest version
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    ran = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, check=False, cwd=ROOT, env=environment, text=True
    )
    assert ran.returncode in (0, 1), ran.stdout + ran.stderr
    return ran.stdout


def mypy(config: str) -> Errors:
    """Return what mypy says with a configuration."""
    options = (
        f"--config-file={config}",
        f"--cache-dir=.mypy_cache/{config}",
        f"--python-version={VERSION}",
        "--output=json",
    )
    reports = [json.loads(line) for line in run("mypy", *options, *map(str, [*RIGHT, *WRONG])).splitlines()]
    return by_line((ROOT / one["file"], one["line"], one["message"]) for one in reports if one["severity"] == "error")


def pyright() -> Errors:
    """Return what pyright says in strict mode."""
    written = run(
        "pyright", "--outputjson", f"--pythonpath={sys.executable}", f"--pythonversion={VERSION}", f"--project={FILES}"
    )
    report = json.loads(written)
    assert len([*RIGHT, *WRONG]) == report["summary"]["filesAnalyzed"]
    return by_line(
        (Path(one["file"]), one["range"]["start"]["line"] + 1, one["message"])
        for one in report["generalDiagnostics"]
        if one["severity"] == "error" and not (one.get("rule") in UNUSED and Path(one["file"]) in WRONG)
    )


def by_line(reports: Iterator[tuple[Path, int, str]]) -> Errors:
    """Return the reports by file and line."""
    found: Errors = {}
    for path, line, message in reports:
        found.setdefault(path, {}).setdefault(line, message)
    return found


CHECKERS: dict[str, Callable[[], Errors]] = {
    "mypy": partial(mypy, "mypy.ini"),
    "mypy with the returns plugin": partial(mypy, "mypy-returns.ini"),
    "pyright": pyright,
}


@pytest.fixture(scope="module", params=CHECKERS)
def report(request: pytest.FixtureRequest) -> Report:
    """Return all that a checker complains of."""
    checker = request.param.partition(" ")[0]
    if find_spec(checker) is None:
        pytest.skip(f"{checker} is not installed: pip install --group types")
    return Report(checker, CHECKERS[request.param]())


def missing(libraries: Iterable[str]) -> list[str]:
    """Return those that aren't installed."""
    return [one for one in libraries if find_spec(one) is None]


@pytest.fixture
def path(request: pytest.FixtureRequest) -> Path:
    """Return a file whose types the checkers can know."""
    found: Path = request.param
    if absent := missing(NEEDS.get(found.stem, ())):
        pytest.skip(f"not installed: {', '.join(absent)}; its types are known where the extra is")
    return found


def marked_lines(path: Path, checker: str) -> set[int]:
    """Return the numbers of the lines that are marked as wrong for a checker."""
    marks = ("  # wrong: ", f"  # wrong for {checker}: ")
    lines = path.read_text(encoding="utf-8").splitlines()
    return {number for number, line in enumerate(lines, start=1) if any(mark in line for mark in marks)}


@pytest.mark.parametrize("path", RIGHT, indirect=True, ids=lambda path: path.stem)
def test_right_code_is_clean(path: Path, report: Report) -> None:
    """A checker has nothing to say of code that uses the library rightly, and finds the types that it states."""
    assert {} == report.errors.get(path, {})


@pytest.mark.parametrize("path", WRONG, indirect=True, ids=lambda path: path.stem)
def test_wrong_code_is_refused(path: Path, report: Report) -> None:
    """A checker reports an error on each line that misuses the library, and on no other line."""
    found, marked = report.errors.get(path, {}), marked_lines(path, report.checker)
    assert {} == {line: message for line, message in found.items() if line not in marked}, "refused, but not marked"
    assert [] == sorted(marked - found.keys()), "marked, but not refused"


def test_the_wrong_code_has_marks() -> None:
    """Every file of wrong code marks at least ten lines: none of the tests above passes for want of lines."""
    assert [] == [path.name for path in WRONG if len(marked_lines(path, "mypy")) < 10]
    assert [path.name for path in WRONG] == [path.name for path in RIGHT if path.parent.name == "right"]


def test_every_public_name_has_a_typing_test() -> None:
    """Each public name is used in right code, beyond its import."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in RIGHT]
    used = {node.id for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert set() == set(domainkit.__all__) - used


def test_every_public_type_is_complete() -> None:
    """Pyright finds a known type for all that the package exports: no checker has to guess."""
    if absent := missing(("pyright", *EXTRAS)):
        pytest.skip(f"not installed: {', '.join(absent)}; the types of an adapter are known where its extra is")
    report = json.loads(run("pyright", "--outputjson", "--verifytypes", "domainkit", "--ignoreexternal"))
    found = report["typeCompleteness"]
    problems = {
        one["name"]: [problem["message"] for problem in one["diagnostics"] if problem["severity"] == "error"]
        for one in found["symbols"]
    }
    assert {} == {name: messages for name, messages in problems.items() if messages}
    assert 1 == found["completenessScore"]

"""Type checkers on code that uses the library: no report on right code, and an error on each wrong line.

The files in `typing/right` must be clean, those in `typing/wrong` must have an error on exactly the lines marked
`# wrong: why`. `# wrong for mypy: why` marks what pyright does not see: attrs.evolve is typed by mypy's own plugin.
Each checker runs once, over all of them (`checkers.py`). Where an extra isn't installed its types are unknown, and the
tests of files that use them are skipped.
"""

import ast
import json
from collections.abc import Mapping
from itertools import chain
from pathlib import Path

import pytest
from checkers import CHECKERS, RIGHT, WRONG, errors_of, missing, run
from sizes import FULL

import domainkit

NEEDS: Mapping[str, tuple[str, ...]] = {
    "faststream": ("faststream", "aio_pika", "aiokafka", "nats", "redis"),
    "ids": ("sqlalchemy",),
    "inbox": ("sqlalchemy",),
    "rabbitmq": ("aio_pika", "sqlalchemy"),
    "relay": ("aio_pika", "sqlalchemy"),
    "sql": ("sqlalchemy",),
    "starlette": ("starlette", "pydantic", "fastapi"),
    "tracing": ("opentelemetry", "sqlalchemy"),
}
"""The libraries whose types the files of a name need, right or wrong: they come with extras."""

EXTRAS = ("hypothesis", "pydantic", "starlette", "tenacity", *dict.fromkeys(chain(*NEEDS.values())))
"""The libraries that the types of all adapters need."""


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


@pytest.mark.parametrize("checker", list(CHECKERS))
@pytest.mark.parametrize("path", RIGHT, indirect=True, ids=lambda path: path.stem)
def test_right_code_is_clean(path: Path, checker: str) -> None:
    """A checker has nothing to say of code that uses the library rightly, and finds the types that it states."""
    assert {} == errors_of(checker).get(path, {})


@pytest.mark.parametrize("checker", list(CHECKERS))
@pytest.mark.parametrize("path", WRONG, indirect=True, ids=lambda path: path.stem)
def test_wrong_code_is_refused(path: Path, checker: str) -> None:
    """A checker reports an error on each line that misuses the library, and on no other line."""
    found, marked = errors_of(checker).get(path, {}), marked_lines(path, checker.partition(" ")[0])
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


@pytest.mark.skipif(not FULL, reason="not the full size: `make types` asks the same")
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

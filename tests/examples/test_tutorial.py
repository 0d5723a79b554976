"""The tutorial and the Task Manager are one program: what the page shows is what the files hold."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "task_manager"
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text("utf-8")

BLOCKS = [block for block in re.findall(r"```python\n(.*?)```", TUTORIAL, re.DOTALL) if not block.startswith(">>>")]


def statements(source: str) -> list[str]:
    """Return the source of each top-level statement but imports and docstrings, with its decorators."""
    lines = source.splitlines()
    return [
        "\n".join(lines[_first_line(node) - 1 : node.end_lineno])
        for node in ast.parse(source).body
        if not isinstance(node, ast.Import | ast.ImportFrom | ast.Expr)
    ]


def _first_line(node: ast.stmt) -> int:
    decorators = node.decorator_list if isinstance(node, ast.ClassDef | ast.FunctionDef) else []
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def imports(source: str) -> set[tuple[str, str]]:
    """Return the modules and names that are imported from outside of the program."""
    found = [node for node in ast.parse(source).body if isinstance(node, ast.ImportFrom) and node.level == 0]
    return {(str(node.module), alias.name) for node in found for alias in node.names}


SHOWN = [statement for block in BLOCKS for statement in statements(block)]
NAMES = ("domain.py", "use_cases.py", "wiring.py", "delivery.py", "main.py", "report.py")
FILES = {name: (EXAMPLE / name).read_text("utf-8") for name in NAMES}
TRIED = "async def try_it("
"""The first line of the one function that the tutorial has for itself."""


@pytest.mark.parametrize("name", ["domain.py", "use_cases.py"])
def test_tutorial_shows_all_of_the_domain_and_the_application(name: str) -> None:
    """Each statement of domain.py and use_cases.py stands in the tutorial, word for word, in the order of the files."""
    own = statements(FILES[name])

    assert own == [statement for statement in SHOWN if statement in own]


def test_tutorial_shows_all_of_the_wiring() -> None:
    """Each statement of wiring.py stands in the tutorial, word for word."""
    assert [] == [statement for statement in statements(FILES["wiring.py"]) if statement not in SHOWN]


def test_tutorial_shows_nothing_else() -> None:
    """Each statement that the tutorial shows stands in one of the files, word for word."""
    held = [statement for source in FILES.values() for statement in statements(source)]

    assert [] == [shown for shown in SHOWN if shown not in held and not shown.startswith(TRIED)]


def test_tutorial_imports_what_the_program_imports() -> None:
    """The imports in the tutorial are in the files; those of the domain and the application are complete."""
    shown = set.union(*map(imports, BLOCKS))

    assert imports(FILES["domain.py"]) | imports(FILES["use_cases.py"]) <= shown
    assert shown <= set.union(*map(imports, FILES.values()))


def test_tutorial_shows_what_the_program_prints() -> None:
    """The output in the tutorial is that of the program, in a terminal of 100 columns."""
    pytest.importorskip("aiosqlite", reason="aiosqlite isn't installed: the example needs the extra sql")
    command = [sys.executable, "-m", "docs.examples.task_manager"]
    environment = {**os.environ, "COLUMNS": "100", "PYTHONIOENCODING": "utf-8"}
    printed = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", check=True
    ).stdout
    outputs = re.findall(r"```text\n(.*?)```", TUTORIAL, re.DOTALL)

    assert outputs
    assert [] == [output for output in outputs if output not in printed]

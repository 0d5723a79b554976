"""The check of the words in docstrings, comments, error texts and pages (`.ci/words.py`)."""

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

WORDS = Path(__file__).parent.parent / ".ci" / "words.py"


@pytest.fixture(name="problems", scope="module")
def _problems() -> Callable[[str, Path], Iterator[str]]:
    spec = importlib.util.spec_from_file_location("words", WORDS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Callable[[str, Path], Iterator[str]] = module.problems
    return found


@pytest.mark.parametrize(
    ("source", "name", "line"),
    [
        ('"""What is read."""\n', "a.py", 1),
        ('def f():\n    """Where it goes."""\n', "a.py", 2),
        ('def f():\n    """Return it.\n\n    If none is, False.\n    """\n', "a.py", 4),
        ("x = 1\n# he wrote it\n", "a.py", 2),
        ('raise ValueError("poll: longer than nothing")\n', "a.py", 1),
        ('raise ValueError(f"{x}: no such key")\n', "a.py", 1),
        ("# Title\n\nIs there one?\n", "page.md", 3),
    ],
)
def test_a_word_that_a_rule_names_is_found(
    problems: Callable[[str, Path], Iterator[str]], source: str, name: str, line: int
) -> None:
    """Prose of each kind is looked at, and the line is named."""
    (problem,) = problems(source, Path(name))
    assert problem.startswith(f"{name}:{line}: ")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ('"""Read a message.\n\n>>> "no such"\n"""\n', "a.py"),
        ('x = "no such text of an error"\n', "a.py"),
        ("y = 1  # no such thing; words: ok\n", "a.py"),
        ("```python\n# no such thing\n```\n\nThe option `no such`.\n", "page.md"),
        ("% invisible-code-block: python\n%\n% # no such thing\n", "page.md"),
    ],
)
def test_code_is_not_prose(problems: Callable[[str, Path], Iterator[str]], source: str, name: str) -> None:
    """Examples, other texts, code in a page, and a line that says it needs the word, are left alone."""
    assert [] == list(problems(source, Path(name)))


def test_it_fails_if_a_file_breaks_a_rule(tmp_path: Path) -> None:
    """`make lint` ends with an error then, and the line says what to write."""
    page = tmp_path / "page.md"
    page.write_text("There is no such thing.\n", "utf-8")
    ended = subprocess.run([sys.executable, WORDS, page], capture_output=True, text=True, check=False)
    assert (1, True) == (ended.returncode, f"{page}:1: 'no such': write" in ended.stdout)

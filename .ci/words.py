"""Checks the words of docstrings, comments, error texts and documentation pages; `make lint` runs it.

Plain English is part of the house style (CONTRIBUTING.md). The rules are few, and each names a remedy. A line that
needs such a word after all has `words: ok` in a comment.

    python .ci/words.py            all files of the project
    python .ci/words.py FILE...    some of them
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("domainkit", "docs", "tests", "benchmarks", ".ci")
SKIPPED = {"_build", "golden", "petisco_application", "_skeleton", "mutations"}
ALLOWED = "words: ok"
ITSELF = Path(__file__).resolve()


class Rule(NamedTuple):
    """Words to avoid, and the words to write instead."""

    words: re.Pattern[str]
    remedy: str


class Text(NamedTuple):
    """A piece of prose, the line where it starts, and whether it is a docstring."""

    line: int
    text: str
    is_docstring: bool = False


FIRST_LINE = Rule(
    re.compile(r"(What|Whether|Which|How|Where|That|Who|Whose|Why)\b"),
    "an imperative or a noun phrase as the first line",
)
RULES = tuple(
    Rule(re.compile(words, re.IGNORECASE), remedy)
    for words, remedy in (
        (r"\bnone (of \w+ )?is\b", "'no X is' or 'there is no X'"),
        (r"\b(he|him|his|she|hers?)\b", "'they', or the role"),
        (r"\b(than|from|of|for|with) nothing\b", "the number, or 'empty'"),
        (r"\bis there\b", "'exists' or 'is present'"),
        (r"\bno such\b", "'unknown X' or 'no X named'"),
        (r"\b(in vain|thus|hence|whereby|therein|thereof|as yet)\b", "everyday words"),
        (r"\b(simply|obviously|utili[sz]e\w*|in order to)\b", "the plain word, or leave it out"),
    )
)


def main(names: list[str]) -> int:
    """Print each word that breaks a rule; return the exit code, 1 if there is one."""
    files = [Path(name).resolve() for name in names] or sorted(_files())
    found = [problem for file in files for problem in problems(file.read_text("utf-8"), file)]
    print(*found, f"{len(files)} files, {len(found)} words to change", sep="\n")
    return 1 if found else 0


def problems(source: str, file: Path) -> Iterator[str]:
    """Yield a line of text for each word that breaks a rule."""
    lines, name = source.splitlines(), file.relative_to(ROOT) if file.is_relative_to(ROOT) else file
    for text in _page(source) if file.suffix == ".md" else _code(source):
        for number, words, remedy in _broken(text):
            if ALLOWED not in lines[number - 1]:
                yield f"{name}:{number}: {words!r}: write {remedy}"


def _files() -> Iterator[Path]:
    yield from ROOT.glob("*.md")
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".py", ".md"} and not set(path.parts) & SKIPPED and path != ITSELF:
                yield path


def _broken(text: Text) -> Iterator[tuple[int, str, str]]:
    if text.is_docstring and (match := FIRST_LINE.words.match(text.text.lstrip())):
        yield text.line, match.group(), FIRST_LINE.remedy
    for number, line in enumerate(text.text.splitlines(), text.line):
        if not line.lstrip().startswith((">>>", "...")):
            for rule in RULES:
                if match := rule.words.search(re.sub(r"`[^`]*`", "", line)):
                    yield number, match.group(), rule.remedy


def _page(source: str) -> Iterator[Text]:
    """Yield the prose of a Markdown page: everything outside of code blocks and comments."""
    fenced = False
    for number, line in enumerate(source.splitlines(), 1):
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        elif not fenced and not line.startswith(("    ", "%")):
            yield Text(number, line)


def _code(source: str) -> Iterator[Text]:
    """Yield the prose of a Python file: docstrings, comments and the texts of what is raised."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr):
            yield from (text._replace(is_docstring=True) for text in _texts(node.value))
        elif isinstance(node, ast.Raise) and node.exc is not None:
            yield from (text for part in ast.walk(node.exc) for text in _texts(part))
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield Text(token.start[0], token.string)


def _texts(node: ast.AST) -> Iterator[Text]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield Text(node.lineno, node.value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The rewriting of petisco code, family by family: a page of `rewrites` for each."""

import ast
import re
from pathlib import Path

import pytest

pytest.importorskip("libcst", reason="needs the extra codemod")

from domainkit.cli._petisco.files import outcomes

PAGES = sorted((Path(__file__).parent / "rewrites").glob("*.md"))


def blocks_of(page: Path) -> list[str]:
    """Return the blocks of code of a page: what was there, what becomes of it, and what is left to a person."""
    return re.findall(r"^```\w+\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def rewritten(path: Path, text: str) -> tuple[str, str]:
    """Return what becomes of a text in a file, and the list of what is left."""
    path.write_text(text, "utf-8")
    (outcome,), unreadable = outcomes(path)
    assert {} == unreadable
    return outcome.new.decode(), "".join(f"{line}: {what}\n" for line, what in outcome.left)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page(page: Path, tmp_path: Path) -> None:
    """Certain rewrites are made as the page shows them, and the rest is listed; the outcome is Python."""
    before, after, left = blocks_of(page)

    assert (after, left) == rewritten(tmp_path / "code.py", before)
    ast.parse(after)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_second_run(page: Path, tmp_path: Path) -> None:
    """Rewritten code stays as it is when it is rewritten again."""
    _, after, _ = blocks_of(page)

    assert after == rewritten(tmp_path / "code.py", after)[0]

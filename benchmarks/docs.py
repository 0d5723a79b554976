"""Writes the figures into the documentation, so that no one types them."""

from pathlib import Path
from typing import Final

from benchmarks.plot import as_svg
from benchmarks.report import as_markdown
from benchmarks.results import Report

_DOCS: Final = Path(__file__).parent.parent / "docs"
PAGE: Final = _DOCS / "performance.md"
PICTURE: Final = _DOCS / "_static" / "performance.svg"
BEGIN: Final = "<!-- begin: written by `python -m benchmarks --write-docs` -->"
END: Final = "<!-- end -->"


def write(report: Report, page: Path = PAGE, picture: Path = PICTURE) -> None:
    """Replace what stands between the marks of the page, and draw the picture anew.

    Raises:
        ValueError: the page has no marks.
    """
    page.write_text(filled(page.read_text(encoding="utf-8"), as_markdown(report)), encoding="utf-8")
    picture.parent.mkdir(exist_ok=True)
    picture.write_text(as_svg(report), encoding="utf-8")


def filled(text: str, block: str) -> str:
    """Return the text of a page with another block between its marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page has no marks: write {BEGIN} and {END} where the figures belong")
    return f"{before}{BEGIN}\n\n{block}\n\n{END}{after}"

"""Writes the figures into the documentation, so that no one types them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from benchmarks.plot import SUMMARY, as_svg
from benchmarks.report import as_markdown
from benchmarks.results import Report

_DOCS: Final = Path(__file__).parent.parent / "docs"
PAGE: Final = _DOCS / "performance.md"
PICTURES: Final = _DOCS / "_static"
BEGIN: Final = "<!-- begin: written by `python -m benchmarks --write-docs` -->"
END: Final = "<!-- end -->"


def write(report: Report, page: Path = PAGE, pictures: Path = PICTURES) -> None:
    """Replace what stands between the marks of the page, and draw the pictures anew.

    Raises:
        ValueError: the page has no marks.
    """
    text = filled(page.read_text(encoding="utf-8"), as_markdown(report))
    page.write_text(text, encoding="utf-8")
    for name, picture in drawn(text).items():
        (pictures / name).write_text(picture, encoding="utf-8")


def drawn(text: str) -> Mapping[str, str]:
    """Return the pictures of the text of the page, by the name of their file."""
    return {"performance.svg": as_svg(text), "performance-summary.svg": as_svg(text, only=SUMMARY)}


def filled(text: str, block: str) -> str:
    """Return the text of a page with another block between its marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page has no marks: write {BEGIN} and {END} where the figures belong")
    return f"{before}{BEGIN}\n\n{block}\n\n{END}{after}"

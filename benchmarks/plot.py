"""The pictures of the documentation: microseconds as bars, drawn as SVG from the tables of the page."""

import re
from collections.abc import Collection, Iterator, Mapping
from html import escape
from math import log10
from typing import Final

from benchmarks.contenders import OURS
from benchmarks.pure import PURE
from benchmarks.report import TITLES

_WIDTH: Final = 340  # a phone shows it in full size
_LABEL: Final = 132
_BAR: Final = 16
_STEP: Final = 22
_TITLE: Final = 48
_SMALLEST: Final = 0.5
_GROUPS: Final = ("construct", "encode", "decode")
_TICKS: Final = (1, 10, 100)
_STYLE: Final = (
    "text{font:12px system-ui,sans-serif;fill:#1b1f24}.title{font-size:13px;font-weight:600}.page{fill:#fff}"
    ".bar{fill:#9aa7b5}.ours{fill:#2f6f4f}.pure{fill:#7fa894}.grid{stroke:#ddd;stroke-width:1}.tick{fill:#57606a}"
    "@media(prefers-color-scheme:dark){text{fill:#e6e8eb}.page{fill:#131416}.grid{stroke:#444}.tick{fill:#9aa4af}"
    ".ours{fill:#5fb389}.bar{fill:#66717d}}"
)

SUMMARY: Final = frozenset({OURS, "by hand", "msgspec", "pydantic", "petisco"})
"""The contenders of the small picture, on the start page."""

Times = Mapping[str, float]
"""Microseconds by contender."""


def as_svg(page: str, *, only: Collection[str] = ()) -> str:
    """Return the picture of a page's tables: microseconds on a logarithmic scale, shorter is faster.

    Args:
        page: the Markdown that `as_markdown` wrote.
        only: the contenders to draw; all, unless given.
    """
    groups = {group: _times(page, TITLES[group], only) for group in _GROUPS}
    most = max(time for times in groups.values() for time in times.values())
    height = sum(_TITLE + _STEP * len(times) for times in groups.values()) + 8
    body = "\n".join(_groups(groups, most))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        'role="img" aria-label="Microseconds to construct, encode and decode an order event">\n'
        f'<style>{_STYLE}</style>\n<rect class="page" width="{_WIDTH}" height="{height}" rx="8"/>\n{body}\n</svg>\n'
    )


def _times(page: str, title: str, only: Collection[str]) -> Times:
    _, _, after = page.partition(f"### {title}\n")
    rows = re.findall(r"^\| ([^|]+) \| ([\d.]+) \|", after.partition("\n### ")[0], re.MULTILINE)
    return {name: float(time) for name, time in rows if not only or name in only}


def _groups(groups: Mapping[str, Times], most: float) -> Iterator[str]:
    top = 0
    for group, times in groups.items():
        yield f'<text class="title" x="10" y="{top + 22}">{group}: µs (log scale), shorter is faster</text>'
        top += _TITLE
        yield from _grid(top, top + _STEP * len(times) - (_STEP - _BAR), most)
        for name, time in times.items():
            yield from _bar(name, time, top, most)
            top += _STEP


def _grid(top: float, bottom: float, most: float) -> Iterator[str]:
    for tick in (tick for tick in _TICKS if tick <= most):
        x = _x(tick, most)
        yield f'<line class="grid" x1="{x:.1f}" y1="{top - 4}" x2="{x:.1f}" y2="{bottom}"/>'
        yield f'<text class="tick" x="{x:.1f}" y="{top - 7}" text-anchor="middle">{tick:g}</text>'


def _bar(name: str, time: float, top: int, most: float) -> Iterator[str]:
    end = _x(time, most)
    kind = {OURS: "ours", PURE: "pure"}.get(name, "bar")
    yield f'<text x="{_LABEL - 6}" y="{top + 12}" text-anchor="end">{escape(name)}</text>'
    yield f'<rect class="{kind}" x="{_LABEL}" y="{top}" width="{max(end - _LABEL, 1):.1f}" height="{_BAR}"/>'
    yield f'<text x="{end + 5:.1f}" y="{top + 12}">{time:g}</text>'


def _x(time: float, most: float) -> float:
    span = log10(most / _SMALLEST)
    return _LABEL + (_WIDTH - _LABEL - 46) * max(log10(time / _SMALLEST), 0) / span

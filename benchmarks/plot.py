"""The picture of the documentation: what construct, encode and decode take, as bars, drawn as SVG by hand."""

from collections.abc import Iterator, Sequence
from html import escape
from math import log10
from typing import Final

from benchmarks.contenders import OURS
from benchmarks.pure import PURE
from benchmarks.results import Figure, Report

_WIDTH: Final = 760
_LABEL: Final = 150
_BAR: Final = 18
_STEP: Final = 24
_TITLE: Final = 48
_SMALLEST: Final = 1.0
_GROUPS: Final = ("construct", "encode", "decode")
_STYLE: Final = (
    "text{font:13px system-ui,sans-serif;fill:#333}.title{font-weight:600}.bar{fill:#9aa7b5}.ours{fill:#2f6f4f}"
    ".pure{fill:#7fa894}.spread{stroke:#333;stroke-width:1}.grid{stroke:#ddd;stroke-width:1}.tick{font-size:11px;fill:#777}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.grid{stroke:#444}.spread{stroke:#ddd}.tick{fill:#999}}"
)


def as_svg(report: Report) -> str:
    """Return the picture: microseconds on a logarithmic scale, shorter is faster."""
    groups = [[one for one in report.findings.figures if one.group == group] for group in _GROUPS]
    most = max(figure.value.high for figures in groups for figure in figures)
    height = sum(_TITLE + _STEP * len(figures) for figures in groups) + _TITLE
    body = "\n".join(_groups(groups, most))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        'aria-label="Microseconds to construct, encode and decode an order event">\n'
        f"<style>{_STYLE}</style>\n{body}\n</svg>\n"
    )


def _groups(groups: Sequence[Sequence[Figure]], most: float) -> Iterator[str]:
    top = 0
    for figures in groups:
        title = f"{figures[0].group}, microseconds (logarithmic; shorter is faster)"
        yield f'<text class="title" x="0" y="{top + 24}">{title}</text>'
        top += _TITLE
        yield from _grid(top, top + _STEP * len(figures) - (_STEP - _BAR), most)
        for figure in figures:
            yield from _bar(figure, top, most)
            top += _STEP


def _grid(top: float, bottom: float, most: float) -> Iterator[str]:
    tick = _SMALLEST
    while tick <= most:
        x = _x(tick, most)
        yield f'<line class="grid" x1="{x:.1f}" y1="{top - 4}" x2="{x:.1f}" y2="{bottom}"/>'
        yield f'<text class="tick" x="{x:.1f}" y="{top - 7}" text-anchor="middle">{tick:g}</text>'
        tick *= 10


def _bar(figure: Figure, top: int, most: float) -> Iterator[str]:
    end, low, high = (_x(number, most) for number in (figure.value.median, figure.value.low, figure.value.high))
    kind = {OURS: "ours", PURE: "pure"}.get(figure.name, "bar")
    middle = top + _BAR / 2
    yield f'<text x="{_LABEL - 8}" y="{top + 14}" text-anchor="end">{escape(figure.name)}</text>'
    yield f'<rect class="{kind}" x="{_LABEL}" y="{top}" width="{max(end - _LABEL, 1):.1f}" height="{_BAR}"/>'
    yield f'<line class="spread" x1="{low:.1f}" y1="{middle}" x2="{high:.1f}" y2="{middle}"/>'
    yield f'<text x="{high + 8:.1f}" y="{top + 14}">{figure.value.median:.3g}</text>'


def _x(number: float, most: float) -> float:
    span = log10(most / _SMALLEST)
    return _LABEL + (_WIDTH - _LABEL - 60) * max(log10(number / _SMALLEST), 0) / span

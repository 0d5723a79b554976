"""A report as aligned text for the terminal, and as Markdown for the documentation."""

from collections.abc import Iterable, Sequence
from typing import Final

from benchmarks.contenders import OURS
from benchmarks.results import Bar, Comparison, Figure, Report

_HEADER: Final = ("comparison", "median", "quartiles", "bar", "goal", "verdict")
TITLES: Final = {
    "construct": "Construct the order event from plain values",
    "encode": "Encode it to JSON",
    "decode": "Decode it from JSON",
    "size": "Bytes of JSON",
    "memory": "Bytes of a decoded event",
    "memory made": "Bytes of an event in addition to its plain values",
    "import": "Import, in a fresh interpreter",
    "pipeline": "A pipeline of three steps",
    "publish": "Publish an event to one subscriber in memory",
    "send": "Send a command to its handler",
}
"""The title of the table of each group."""

Table = Sequence[Sequence[str]]
"""Rows of cells, the header first."""


def as_text(report: Report) -> str:
    """Return the report for a terminal."""
    parts = ["\n".join(f"{label}: {text}" for label, text in report.machine.items())]
    parts += [f"{title}\n{_aligned(table)}" for title, table in _tables(report)]
    parts += [f"{title}\n{_aligned(table)}" for title, table in _bars(report)]
    return "\n\n".join([*parts, _notes(report)])


def as_markdown(report: Report) -> str:
    """Return the report for a page of the documentation."""
    machine = "\n".join(f"- {label}: {text}" for label, text in report.machine.items())
    parts = [f"{machine}\n- Run: `{report.mode}`"]
    for title, table in (*_bars(report), *_tables(report)):
        parts += [f"### {title}", _piped(table)]
    return "\n\n".join([*parts, "### The contenders", _notes(report, "- ")])


def missed(report: Report) -> list[str]:
    """Return what stays under its bar."""
    return [one.what for one in report.findings.comparisons if one.verdict == "MISSED"]


def _notes(report: Report, mark: str = "") -> str:
    return "\n".join(f"{mark}{note}" for note in report.findings.notes)


def _bars(report: Report) -> Iterable[tuple[str, Table]]:
    yield "Against the bars", _verdicts(report.findings.comparisons)
    if report.without_c:
        yield "The same without a C compiler", _verdicts(report.without_c)


def _tables(report: Report) -> Iterable[tuple[str, Table]]:
    groups = dict.fromkeys(figure.group for figure in report.findings.figures)
    for group in groups:
        figures = [figure for figure in report.findings.figures if figure.group == group]
        yield TITLES.get(group, group.capitalize()), _figures(figures)


def _figures(figures: Sequence[Figure]) -> Table:
    base = next((figure for figure in figures if figure.name == OURS), figures[0])
    header = ("", figures[0].unit, "spread", f"in units of {base.name}")
    return [header, *(_figure_row(figure, base) for figure in figures)]


def _figure_row(figure: Figure, base: Figure) -> Sequence[str]:
    spread = f"{figure.value.relative:.0%}" if figure.value.relative else ""
    return figure.name, _number(figure.value.median), spread, f"{figure.value.median / base.value.median:.2f}"


def _verdicts(comparisons: Iterable[Comparison]) -> Table:
    return [_HEADER, *map(_verdict_row, comparisons)]


def _verdict_row(one: Comparison) -> Sequence[str]:
    value, bar = one.value, one.bar
    quartiles = f"{value.low:.2f} to {value.high:.2f}" if value.low != value.high else ""
    return (
        one.what,
        f"{value.median:.2f} {one.unit}",
        quartiles,
        f"{bar.sense.value} {bar.must:g}" if bar is not None else "",
        _goal(bar),
        one.verdict,
    )


def _goal(bar: Bar | None) -> str:
    return f"{bar.goal:g}" if bar is not None and bar.goal is not None else ""


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def _aligned(table: Table) -> str:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(_aligned_row(row, widths) for row in table)


def _aligned_row(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = (
        cell.ljust(width) if place == 0 else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  " + "  ".join([first, *rest]).rstrip()


def _piped(table: Table) -> str:
    header, *rows = (f"| {' | '.join(row)} |" for row in table)
    rule = f"|{'|'.join([' --- ', *[' ---: '] * (len(table[0]) - 1)])}|"
    return "\n".join([header, rule, *rows])

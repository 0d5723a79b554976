"""`python -m benchmarks`: measure, print, and where asked for, write a file or the documentation."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import dispatch, docs, imports, machine, messages, pure, scaling
from benchmarks.contenders import installed
from benchmarks.effort import FULL, QUICK, Effort
from benchmarks.report import as_text, missed
from benchmarks.results import Findings, Report
from domainkit._speedups.slots import COMPILED

PARTS = ("messages", "dispatch", "imports", "growth")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments ask for; 1 where `--strict` is given and a bar is missed."""
    given = sys.argv[1:] if arguments is None else [*arguments]
    parser = _parser()
    options = parser.parse_args(given)
    if options.write_docs and (options.pure or options.only):
        parser.error("the page shows all parts, with and without C: leave out --pure and --only")
    if options.pure and COMPILED:
        return pure.run(*given)
    report = run(QUICK if options.quick else FULL, options.only)
    print(as_text(report))
    if options.json is not None:
        options.json.write_text(json.dumps(report.builtins(), indent=2) + "\n", encoding="utf-8")
    if options.write_docs:
        docs.write(report)
    under = missed(report)
    print(f"\n{len(under)} bars are missed{': ' if under else ''}{'; '.join(under)}")
    return 1 if under and options.strict else 0


def run(effort: Effort, only: str | None = None) -> Report:
    """Measure everything, or one of the parts; where there is a part in C, the messages are measured without it too."""
    where = machine.description()
    contenders, left_out = installed()
    findings = Findings(notes=tuple(left_out))
    parts: dict[str, Callable[[], Findings]] = {
        "messages": lambda: messages.measure(contenders, effort),
        "dispatch": lambda: dispatch.measure(effort),
        "imports": lambda: imports.measure(effort),
        "growth": lambda: scaling.measure(effort),
    }
    for name in PARTS if only is None else (only,):
        print(f"measuring {name} {'...' if COMPILED else 'without C ...'}", file=sys.stderr)
        findings += parts[name]()
    if not COMPILED or only not in {None, "messages"}:
        return Report(where, effort.mode, findings)
    without_c = pure.measure(effort)
    return Report(where, effort.mode, without_c.beside(findings), without_c.comparisons)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="a look in about half a minute; figures to write down take longer"
    )
    parser.add_argument("--pure", action="store_true", help="leave domainkit's part in C alone: all is done in Python")
    parser.add_argument("--only", choices=PARTS, help="measure this part alone")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument(
        "--write-docs", action="store_true", help="write the figures into docs/performance.md and its picture"
    )
    parser.add_argument("--strict", action="store_true", help="exit with 1 where a bar is missed")
    return parser


if __name__ == "__main__":
    sys.exit(main())

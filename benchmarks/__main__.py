"""`python -m benchmarks`: measure, print, and where asked for, write a file or the documentation."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import dispatch, docs, imports, machine, messages, scaling
from benchmarks.contenders import installed
from benchmarks.effort import FULL, QUICK, Effort
from benchmarks.report import as_text, missed
from benchmarks.results import Findings, Report


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments ask for; 1 where `--strict` is given and a bar is missed."""
    options = _parser().parse_args(arguments)
    report = run(QUICK if options.quick else FULL)
    print(as_text(report))
    if options.json is not None:
        options.json.write_text(json.dumps(report.builtins(), indent=2) + "\n", encoding="utf-8")
    if options.write_docs:
        docs.write(report)
    under = missed(report)
    print(f"\n{len(under)} bars are missed{': ' if under else ''}{'; '.join(under)}")
    return 1 if under and options.strict else 0


def run(effort: Effort) -> Report:
    """Measure everything."""
    where = machine.description()
    contenders, left_out = installed()
    findings = Findings(notes=tuple(left_out))
    parts: dict[str, Callable[[], Findings]] = {
        "messages": lambda: messages.measure(contenders, effort),
        "pipelines and buses": lambda: dispatch.measure(effort),
        "imports": lambda: imports.measure(effort),
        "growth": lambda: scaling.measure(effort),
    }
    for name, part in parts.items():
        print(f"measuring {name} ...", file=sys.stderr)
        findings += part()
    return Report(where, effort.mode, findings)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="a look in about 20 seconds; figures to write down take longer"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument(
        "--write-docs", action="store_true", help="write the figures into docs/performance.md and its picture"
    )
    parser.add_argument("--strict", action="store_true", help="exit with 1 where a bar is missed")
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""Reads a file of commands, one JSON envelope a line, and shows what became of them."""

import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from codecs import BOM_UTF8
from collections.abc import Iterable, Sequence
from os.path import relpath
from pathlib import Path
from shutil import get_terminal_size

from returns.pipeline import is_successful
from returns.result import safe

from domainkit import (
    DomainError,
    InmemoryCrudRepository,
    InmemoryDomainEventBus,
    InvalidMessage,
    Mediator,
    pipeline,
)

from .domain import Task, TaskId
from .report import Report, render
from .use_cases import CreateTask, TaskCreator

DEMO = Path(__file__).with_name("tasks.jsonl")
WRONG_ON_PURPOSE = frozenset({3, 4, 5, 7, 8, 9, 11, 12, 13})  # lines of DEMO

EXIT_STATUS = """exit status:
  0  every line became a task (without FILE: every line but those that are wrong on purpose)
  1  a line was refused
  2  the file can't be read
"""

read_command = safe(exceptions=(InvalidMessage,))(CreateTask.from_json)


def manage_tasks(lines: Iterable[bytes]) -> Report:
    """Handle each line, and return what was stored, published and refused."""
    tasks, bus = InmemoryCrudRepository[Task, TaskId](), InmemoryDomainEventBus()
    mediator = Mediator(CreateTask.handled_by(TaskCreator(tasks, bus)))
    handle = pipeline(read_command, mediator.send)
    refused: dict[int, DomainError] = {}
    for number, line in enumerate(lines, start=1):
        text = line.removeprefix(BOM_UTF8).strip()
        if text and not is_successful(result := handle(text)):
            refused[number] = result.failure()
    return Report(tasks.retrieve_all().unwrap(), bus.published, refused)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program, and return its exit status."""
    file = _parse(arguments)
    try:
        with file.open("rb") as lines:
            report = manage_tasks(lines)
    except OSError as error:
        print(f"task_manager: can't read {file}: {error.strerror}", file=sys.stderr)
        return 2
    well = set(report.refused) == (WRONG_ON_PURPOSE if file == DEMO else set())
    width = min(get_terminal_size((100, 24)).columns, 120)
    name = relpath(file) if file == DEMO else file
    _print(f"Task Manager: commands from {name}\n", *render(report, width), _verdict(report, well=well))
    return 0 if well else 1


def _parse(arguments: Sequence[str] | None) -> Path:
    parser = ArgumentParser(
        "task_manager", description=__doc__, epilog=EXIT_STATUS, formatter_class=RawDescriptionHelpFormatter
    )
    parser.add_argument("file", metavar="FILE", nargs="?", type=Path, default=DEMO, help="the demo's own unless given")
    file: Path = parser.parse_args(arguments).file
    return file


def _verdict(report: Report, *, well: bool) -> str:
    if not well:
        return "Not all went well: there are lines that should not have been refused."
    return "All went well: the refused lines are wrong on purpose." if report.refused else "All went well."


def _print(*blocks: str) -> None:
    """Print to any terminal: what its encoding lacks is escaped."""
    encoding = sys.stdout.encoding
    print("\n".join(blocks).encode(encoding, "backslashreplace").decode(encoding))

"""Reads a file of commands, one JSON envelope on each line, handles them, and prints a report."""

import asyncio
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from codecs import BOM_UTF8
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from os import environ
from os.path import relpath
from pathlib import Path
from shutil import get_terminal_size
from tempfile import TemporaryDirectory

from returns.pipeline import is_successful
from sqlalchemy.exc import SQLAlchemyError

from domainkit import DomainError

from .delivery import EXCHANGE, NotDeliveredError, deliver
from .domain import DuplicateTask
from .event_sourced import event_sourced_task_manager
from .program import Program
from .report import Report, render
from .wiring import DATABASE, task_manager

DEMO = Path(__file__).with_name("tasks.jsonl")
WRONG_ON_PURPOSE = frozenset({3, 4, 5, 7, 8, 9, 11, 12, 13})  # lines of DEMO

EXIT_STATUS = """exit status:
  0  every line became a task (without FILE: every line except those that are wrong on purpose)
  1  a line was refused
  2  the file can't be read, or the database or the broker can't be reached
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program, and return its exit status."""
    options = _parse(arguments)
    file: Path = options.file
    try:
        with TemporaryDirectory() as folder, file.open("rb") as lines:
            database = options.database or DATABASE.format(folder=folder)
            opened = (event_sourced_task_manager if options.event_sourced else task_manager)(database)
            report = asyncio.run(manage_tasks(lines, opened, options.broker, options.exchange))
    except SQLAlchemyError as error:
        return _failed(f"the database can't be used ({type(error).__name__})")  # its text may have the password
    except (NotDeliveredError, ImportError) as error:  # a driver or an extra may be missing
        return _failed(str(error))
    except OSError as error:
        return _failed(f"can't read {file}: {error.strerror}")
    well = _is_well(report.refused) if file == DEMO else not report.refused
    width = min(get_terminal_size((100, 24)).columns, 120)
    name = relpath(file) if file == DEMO else file
    _print(f"Task Manager: commands from {name}\n", *render(report, width), _verdict(report, well=well))
    return 0 if well else 1


async def manage_tasks(
    lines: Iterable[bytes],
    opened: AbstractAsyncContextManager[Program],
    broker: str | None = None,
    exchange: str = EXCHANGE,
) -> Report:
    """Handle each line, deliver the events, and return the report."""
    try:
        async with opened as program:
            refused = await handle_lines(program, lines)
            delivery = await deliver(program, broker, exchange)
            tasks, reminders = await program.tasks.retrieve_all(), await program.reminders.retrieve_all()
            return Report(tasks.unwrap(), delivery, reminders.unwrap(), refused)
    except SQLAlchemyError:
        await asyncio.sleep(0.1)  # the thread of aiosqlite wants to tell the loop that it could not connect
        raise


async def handle_lines(program: Program, lines: Iterable[bytes]) -> Mapping[int, DomainError]:
    """Handle each line, and return the errors of the refused ones by line number."""
    refused: dict[int, DomainError] = {}
    for number, line in enumerate(lines, start=1):
        text = line.removeprefix(BOM_UTF8).strip()
        if text and not is_successful(result := await program.handle(text)):
            refused[number] = result.failure()
    return refused


def _parse(arguments: Sequence[str] | None) -> Namespace:
    parser = ArgumentParser(
        "task_manager", description=__doc__, epilog=EXIT_STATUS, formatter_class=RawDescriptionHelpFormatter
    )
    parser.add_argument("file", metavar="FILE", nargs="?", type=Path, default=DEMO, help="by default the demo's own")
    parser.add_argument(
        "--database",
        metavar="URL",
        default=environ.get("TASK_MANAGER_DATABASE"),
        help="such as postgresql+psycopg://me@localhost/tasks; by default a temporary SQLite file",
    )
    parser.add_argument(
        "--broker",
        metavar="URL",
        default=environ.get("TASK_MANAGER_BROKER"),
        help="such as amqp://guest:guest@localhost/; by default events are delivered in this process",
    )
    parser.add_argument("--event-sourced", action="store_true", help="store events, not rows; the report is the same")
    parser.add_argument("--exchange", metavar="NAME", default=EXCHANGE, help=f"on the broker; by default {EXCHANGE}")
    return parser.parse_args(arguments)


def _is_well(refused: Mapping[int, DomainError]) -> bool:
    """Check that the wrong lines of DEMO were refused, and no others except tasks that an earlier run stored."""
    others = [error for number, error in refused.items() if number not in WRONG_ON_PURPOSE]
    return refused.keys() >= WRONG_ON_PURPOSE and all(isinstance(error, DuplicateTask) for error in others)


def _verdict(report: Report, *, well: bool) -> str:
    if not well:
        return "Not all went well: there are lines that should not have been refused."
    if report.refused.keys() > WRONG_ON_PURPOSE:
        return "All went well: the refused lines are wrong on purpose, or their tasks were stored before."
    return "All went well: the refused lines are wrong on purpose." if report.refused else "All went well."


def _failed(reason: str) -> int:
    print(f"task_manager: {reason}", file=sys.stderr)
    return 2


def _print(*blocks: str) -> None:
    """Print to any terminal, with characters that its encoding doesn't have as escapes."""
    encoding = sys.stdout.encoding
    print("\n".join(blocks).encode(encoding, "backslashreplace").decode(encoding))

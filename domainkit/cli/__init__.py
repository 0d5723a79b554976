"""Command line of `python -m domainkit`, with one file for each command.

A file has `add_to(commands)`, which adds its command with a `run` that returns the exit status. A command imports its
adapters only when it runs, so that the others work without these extras.
"""

import argparse
import sys
from collections.abc import Sequence

from domainkit.cli import consume, dead_letters, event_map, from_petisco, inbox, new, project, relay
from domainkit.cli._arguments import CommandFailedError, WrongArgumentError

__all__ = ["main"]

_COMMANDS = (new, event_map, consume, relay, project, dead_letters, inbox, from_petisco)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and return its exit status: 0, 1 if a command failed, 2 if an argument is wrong.

    Args:
        arguments: by default those of the process.
    """
    parser = argparse.ArgumentParser(
        prog="python -m domainkit", description="Tools for applications built with domainkit."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module in _COMMANDS:
        module.add_to(commands)
    options = parser.parse_args(arguments)
    try:
        status: int = options.run(options)
    except WrongArgumentError as error:
        parser.error(str(error))
    except (CommandFailedError, ImportError) as error:  # an ImportError says how to install a missing extra
        print(f"{parser.prog}: {error}", file=sys.stderr)  # noqa: T201  (a command line prints)
        return 1
    return status

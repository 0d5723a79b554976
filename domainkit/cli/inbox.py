"""`python -m domainkit clean-inbox --older-than 14d`: deletes old marks of an inbox."""

import argparse

from domainkit.cli._arguments import Commands, duration
from domainkit.cli.consume import add_inbox, complete_inbox


def add_to(commands: Commands) -> None:
    """Add the command `clean-inbox`."""
    parser = commands.add_parser(
        "clean-inbox",
        help="delete old marks of an inbox",
        description="Delete old marks of an inbox. A message that is redelivered after that is handled again.",
    )
    parser.add_argument(
        "--older-than", type=duration, required=True, metavar="TIME", help="a number with s, m, h or d: 14d"
    )
    add_inbox(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    import asyncio  # noqa: PLC0415  (only this command needs it, and the adapter)

    complete_inbox(options)
    from domainkit.cli._inboxes import cleaned  # noqa: PLC0415  (it needs an extra)

    deleted = asyncio.run(cleaned(options, options.older_than))
    print("1 mark deleted" if deleted == 1 else f"{deleted:,} marks deleted")  # noqa: T201  (a command line prints)
    return 0

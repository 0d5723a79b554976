"""`python -m domainkit consume my_app.wiring:subscribers`: consumes queues of RabbitMQ."""

import argparse
import os

from domainkit.cli._arguments import BROKER, DATABASE, Commands, WrongArgumentError, count, duration


def add_to(commands: Commands) -> None:
    """Add the command `consume`."""
    parser = commands.add_parser(
        "consume",
        help="call functions with the messages of their queues",
        description="Call functions with the messages of their queues, until stopped by SIGTERM or Ctrl-C.",
        epilog="Times are seconds, or a number with s, m, h or d: 30, 1.5h, 7d.",
    )
    parser.add_argument(
        "consumer",
        metavar="MODULE:NAME",
        help="a function of the broker's URL that returns a RabbitMqConsumer or an async context manager of one",
    )
    parser.add_argument("--broker", metavar="URL", help=f"amqp://user:password@host/vhost; or {BROKER}")
    parser.add_argument("--concurrency", type=count, help="messages of a queue handled at a time")
    parser.add_argument("--prefetch", type=count, help="messages of a queue fetched ahead")
    parser.add_argument("--health-port", type=count, metavar="PORT", help="answer HTTP requests to /health and /live")
    inbox = parser.add_argument_group("marks of an inbox")
    inbox.add_argument("--clean-inbox", type=duration, metavar="TIME", help="delete older marks, every hour")
    add_inbox(inbox)
    parser.add_argument("--status", action="store_true", help="print the status of the queues, and exit")
    parser.add_argument("--json", action="store_true", help="with --status: print JSON")
    parser.set_defaults(run=_run)


def add_inbox(parser: "argparse.ArgumentParser | argparse._ArgumentGroup") -> None:
    """Add the options for the database and table of an inbox."""
    parser.add_argument("--database", metavar="URL", help=f"sqlite:///tasks.db, postgresql://...; or {DATABASE}")
    parser.add_argument("--table", default="inbox", help="default: inbox")
    parser.add_argument("--schema", help="the schema in PostgreSQL; default: the connection's")


def complete_inbox(options: argparse.Namespace) -> None:
    """Take the database of an inbox from the environment if it isn't given.

    Raises:
        WrongArgumentError: both are missing.
    """
    options.database = options.database or os.environ.get(DATABASE)
    if not options.database:
        raise WrongArgumentError(f"no database: give --database, or set {DATABASE}")


def _run(options: argparse.Namespace) -> int:
    options.broker = options.broker or os.environ.get(BROKER)
    if not options.broker:
        raise WrongArgumentError(f"no broker: give --broker, or set {BROKER}")
    if options.json and not options.status:
        raise WrongArgumentError("--json needs --status; add it")
    if options.clean_inbox is not None:
        complete_inbox(options)
    from domainkit.cli import _consuming  # noqa: PLC0415  (it needs the adapter, an extra)

    return _consuming.run(options)

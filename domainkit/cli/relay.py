"""`python -m domainkit relay`: sends the messages in an outbox, or shows and changes its state for an operator."""

import argparse
import os
from datetime import timedelta

from domainkit.cli._arguments import BROKER, DATABASE, Commands, WrongArgumentError, count, duration, message_id, moment
from domainkit.cli._process import ending_early

EXCHANGE = "DOMAINKIT_EXCHANGE"
"""The environment variable with the exchange, besides BROKER and DATABASE."""

_OPERATIONS = ("status", "release", "release_key", "discard", "replay", "replay_since")
"""The options that run an operation instead of sending."""


def add_to(commands: Commands) -> None:
    """Add the command `relay`."""
    parser = commands.add_parser(
        "relay",
        help="send the messages in an outbox to a broker",
        description="Send the messages in an outbox to a broker, until stopped by SIGTERM or Ctrl-C.",
        epilog="Times are seconds, or a number with s, m, h or d: 30, 1.5h, 7d.",
    )
    places = parser.add_argument_group("source and destination")
    places.add_argument("--database", metavar="URL", help=f"sqlite:///tasks.db, postgresql://...; or {DATABASE}")
    places.add_argument("--table", default="outbox", help="default: outbox")
    places.add_argument("--schema", help="the schema in PostgreSQL; default: the connection's")
    places.add_argument("--broker", metavar="URL", help=f"amqp://user:password@host/vhost; or {BROKER}")
    places.add_argument("--exchange", help=f"the exchange for the messages; or {EXCHANGE}")
    places.add_argument(
        "--publisher", metavar="MODULE:NAME", help="an AsyncMessagePublisher, or a function that returns one"
    )
    places.add_argument(
        "--unrouted",
        choices=("events", "all", "none"),
        help="messages without a queue that count as sent, the others are refused; default: events",
    )
    settings = parser.add_argument_group("settings")
    settings.add_argument("--once", action="store_true", help="exit when no message can be sent now")
    settings.add_argument("--wait", action="store_true", help="wait for a database that is unreachable at the start")
    settings.add_argument("--batch", type=count, default=500, help="messages claimed at a time; default: 500")
    settings.add_argument("--concurrency", type=count, default=100, help="keys sent in parallel; default: 100")
    settings.add_argument("--lease", type=duration, default="60", help="duration of a claim; default: 60")
    settings.add_argument("--poll", type=duration, default="0.5", help="wait between queries when idle; default: 0.5")
    settings.add_argument(
        "--no-wakes", dest="wakes", action="store_false", help="only poll, rather than query after each commit"
    )
    settings.add_argument("--max-attempts", type=count, default=10, help="before a message is parked; default: 10")
    settings.add_argument(
        "--retention", type=_retention, default="7d", help="of sent messages, or `forever`; default: 7d"
    )
    _add_operations(parser)
    parser.set_defaults(run=_run)


def _add_operations(parser: argparse.ArgumentParser) -> None:
    title = "instead of sending"
    operations = parser.add_argument_group(title).add_mutually_exclusive_group()
    operations.add_argument("--status", action="store_true", help="print the status of the outbox")
    operations.add_argument(
        "--release", nargs="?", const=True, type=message_id, metavar="ID", help="retry all parked messages, or one"
    )
    operations.add_argument("--release-key", metavar="KEY", help="retry the parked messages of a key")
    operations.add_argument("--discard", type=message_id, metavar="ID", help="abandon a parked message")
    operations.add_argument("--replay", type=message_id, metavar="ID", help="send a message again")
    operations.add_argument("--replay-since", type=moment, metavar="TIME", help="send all messages since then again")
    parser.add_argument("--json", action="store_true", help="with --status: print JSON")
    parser.add_argument("--exact", action="store_true", help="with --status: count all messages; it can take seconds")


def _retention(text: str) -> timedelta | None:
    return None if text == "forever" else duration(text)


def _run(options: argparse.Namespace) -> int:
    for name, variable in (("database", DATABASE), ("broker", BROKER), ("exchange", EXCHANGE)):
        setattr(options, name, getattr(options, name) or os.environ.get(variable))
    if not options.database:
        raise WrongArgumentError(f"no database: give --database, or set {DATABASE}")
    for name in ("json", "exact"):
        if getattr(options, name) and not options.status:
            raise WrongArgumentError(f"--{name} needs --status; add it")
    is_operation = any(getattr(options, name) not in {None, False} for name in _OPERATIONS)
    return _operate(options) if is_operation else _relay(options)


def _operate(options: argparse.Namespace) -> int:
    import domainkit.adapters.sqlalchemy  # noqa: F401, PLC0415  (raises the error for a missing extra)
    from domainkit.cli import _operating  # noqa: PLC0415  (it needs the extra)

    return _operating.run(options)


def _relay(options: argparse.Namespace) -> int:
    with ending_early():  # first, since the imports below are slow
        import domainkit.adapters.sqlalchemy  # noqa: F401, PLC0415  (as above)
        from domainkit.cli import _relaying  # noqa: PLC0415  (as above)

        return _relaying.run(options)

"""`python -m domainkit redeliver --queue mailing.greeter`: moves dead letters back to their queue."""

import argparse
import os

from returns.result import Failure

from domainkit.cli._arguments import BROKER, CommandFailedError, Commands, WrongArgumentError


def add_to(commands: Commands) -> None:
    """Add the command `redeliver`."""
    parser = commands.add_parser("redeliver", help="move dead letters of RabbitMQ back to their queue")
    parser.add_argument("--queue", required=True, help="the queue that they come from, such as mailing.greeter")
    parser.add_argument("--limit", type=_number, help="the maximum number to move; default: all")
    parser.add_argument("--broker", default=os.environ.get(BROKER), metavar="URL", help=f"default: {BROKER}")
    parser.set_defaults(run=_run)


def _number(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"expected 0 or more, got {text!r}")
    return number


def _run(options: argparse.Namespace) -> int:
    import asyncio  # noqa: PLC0415  (only this command needs it, and the adapter)

    from domainkit.adapters.rabbitmq import dead_letter_queue, redeliver  # noqa: PLC0415

    if not options.broker:
        raise WrongArgumentError(f"no broker: give --broker, or set {BROKER}")
    try:
        result = asyncio.run(redeliver(options.broker, options.queue, limit=options.limit))
    except ValueError as error:
        raise WrongArgumentError(str(error)) from None
    if isinstance(result, Failure):
        raise CommandFailedError(result.failure().detail())
    moved = result.unwrap()
    letters = "1 dead letter" if moved == 1 else f"{moved} dead letters"
    print(f"{letters} moved from {dead_letter_queue(options.queue)} to {options.queue}")  # noqa: T201  (a command line prints)
    return 0

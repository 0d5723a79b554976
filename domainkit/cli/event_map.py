"""`python -m domainkit map my_app.wiring:mediator`: draws a diagram of an application."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from domainkit.cli._arguments import Commands, WrongArgumentError, object_named


def add_to(commands: Commands) -> None:
    """Add the command `map`."""
    parser = commands.add_parser("map", help="draw commands, handlers, events and subscribers")
    parser.add_argument(
        "wiring",
        nargs="+",
        metavar="MODULE:NAME",
        help="a mediator, bus or consumer, a mapping of causes or policies, or a function that returns any of these",
    )
    parser.add_argument("--format", choices=("mermaid", "dot", "svg"), default="mermaid", help="default: mermaid")
    parser.set_defaults(run=_run)


def _made(found: Any) -> Sequence[Any]:  # Any: event_map checks it
    """Return a named object as a list, or the objects that a named function returns."""
    made = found() if callable(found) else found
    return made if isinstance(made, tuple | list) else [made]


def _run(options: argparse.Namespace) -> int:
    from domainkit.formats.event_map import event_map  # noqa: PLC0415  (only this command needs it)

    try:
        found = [one for path in options.wiring for one in _made(object_named(path))]
        pairs = [pair for one in found if isinstance(one, Mapping) for pair in one.items()]
        picture = event_map(
            *(one for one in found if not isinstance(one, Mapping)),
            causes={key: value for key, value in pairs if isinstance(key, type)},
            policies={key: value for key, value in pairs if not isinstance(key, type)},
        )
        drawn = getattr(picture, options.format)()
    except (AttributeError, TypeError) as error:
        raise WrongArgumentError(f"expected mediators, buses, consumers and mappings of causes ({error})") from error
    except FileNotFoundError as error:
        raise WrongArgumentError(str(error)) from error
    print(drawn)  # noqa: T201  (a command line prints)
    return 0

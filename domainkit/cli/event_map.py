"""`python -m domainkit map my_app.wiring:mediator`: a picture of an application."""

import argparse
from collections.abc import Mapping

from domainkit.cli._arguments import Commands, WrongArgumentError, object_named


def add_to(commands: Commands) -> None:
    """Add the command `map`."""
    parser = commands.add_parser("map", help="draw commands, handlers, events and subscribers")
    parser.add_argument("wiring", nargs="+", metavar="MODULE:NAME", help="a mediator, a bus, or a mapping of causes")
    parser.add_argument("--format", choices=("mermaid", "dot", "svg"), default="mermaid", help="default: mermaid")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from domainkit.formats.event_map import event_map  # noqa: PLC0415  (only this command needs it)

    found = [object_named(path) for path in options.wiring]
    causes = [one for one in found if isinstance(one, Mapping)]
    wirings = [one for one in found if not isinstance(one, Mapping)]
    try:
        picture = event_map(*wirings, causes={key: value for one in causes for key, value in one.items()})
        drawn = getattr(picture, options.format)()
    except (AttributeError, TypeError) as error:
        raise WrongArgumentError(f"expected mediators, buses and mappings of causes ({error})") from error
    except FileNotFoundError as error:
        raise WrongArgumentError(str(error)) from error
    print(drawn)  # noqa: T201  (a command line prints)
    return 0

"""`python -m domainkit map my_app.wiring:mediator`: a picture of an application."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and return its exit status: 0, or 2 where an argument is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m domainkit", description="Tools for applications built with domainkit."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    drawing = commands.add_parser("map", help="draw commands, handlers, events and subscribers")
    drawing.add_argument("wiring", nargs="+", metavar="MODULE:NAME", help="a mediator, a bus, or a mapping of causes")
    drawing.add_argument("--format", choices=("mermaid", "dot", "svg"), default="mermaid", help="default: mermaid")
    drawing.set_defaults(run=_draw)
    options = parser.parse_args(arguments)
    try:
        print(options.run(options))  # noqa: T201  (a command line prints)
    except _WrongArgumentError as error:
        parser.error(str(error))
    return 0


class _WrongArgumentError(Exception):
    """An argument that can't be used; the text says why."""


def _draw(options: argparse.Namespace) -> str:
    from domainkit.formats.event_map import event_map  # noqa: PLC0415  (only this command needs it)

    found = [_object(path) for path in options.wiring]
    causes = [one for one in found if isinstance(one, Mapping)]
    wirings = [one for one in found if not isinstance(one, Mapping)]
    try:
        picture = event_map(*wirings, causes={key: value for one in causes for key, value in one.items()})
        made: str = getattr(picture, options.format)()
    except (AttributeError, TypeError) as error:
        raise _WrongArgumentError(f"expected mediators, buses and mappings of causes ({error})") from error
    except FileNotFoundError as error:
        raise _WrongArgumentError(str(error)) from error
    return made


def _object(path: str) -> Any:  # Any: what it is shows when it is drawn
    module, _, name = path.partition(":")
    sys.path.insert(0, str(Path.cwd()))  # so that an application is found where it stands, as `python -m` finds it
    try:
        return getattr(import_module(module), name)
    except (ImportError, ValueError) as error:
        raise _WrongArgumentError(f"{path}: no module {module!r} ({error}); expected MODULE:NAME") from error
    except AttributeError as error:
        raise _WrongArgumentError(f"{path}: the module {module} has no {name!r}; expected MODULE:NAME") from error
    finally:
        sys.path.pop(0)


if __name__ == "__main__":
    sys.exit(main())

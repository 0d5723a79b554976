"""`python -m domainkit project my_app.wiring:projector`: lets read models follow an event store."""

import argparse

from domainkit.cli._arguments import Commands, WrongArgumentError, count
from domainkit.cli._process import ending_early


def add_to(commands: Commands) -> None:
    """Add the command `project`."""
    parser = commands.add_parser(
        "project",
        help="let read models follow an event store",
        description="Let read models follow an event store, until stopped by SIGTERM or Ctrl-C.",
    )
    parser.add_argument(
        "projector",
        metavar="MODULE:NAME",
        help="a Projector or AsyncProjector, or a function that returns one or a context manager of one",
    )
    parser.add_argument("--once", action="store_true", help="exit when no event is left that a read model can take")
    parser.add_argument(
        "--no-wakes", dest="wakes", action="store_false", help="only poll, rather than query after each commit"
    )
    parser.add_argument("--health-port", type=count, metavar="PORT", help="answer HTTP requests to /health and /live")
    operations = parser.add_argument_group("instead of following").add_mutually_exclusive_group()
    operations.add_argument("--status", action="store_true", help="print the progress of each read model")
    operations.add_argument("--rebuild", metavar="NAME", help="make a read model anew beside the old one, and swap")
    parser.add_argument("--json", action="store_true", help="with --status or --rebuild: print JSON")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    is_rebuild = options.rebuild is not None  # also of an empty name, which is refused
    if options.json and not (options.status or is_rebuild):
        raise WrongArgumentError("--json needs --status or --rebuild; add it")
    given = {"--once": options.once, "--no-wakes": not options.wakes, "--health-port": options.health_port is not None}
    for name in [name for name, is_given in given.items() if is_given and (options.status or is_rebuild)]:
        raise WrongArgumentError(f"{name} goes with neither --status nor --rebuild; leave it out")
    with ending_early():  # first, since the imports below are slow
        import domainkit.adapters.sqlalchemy  # noqa: F401, PLC0415  (raises the error for a missing extra)
        from domainkit.cli import _projecting  # noqa: PLC0415  (it needs the extra)

        return _projecting.run(options)

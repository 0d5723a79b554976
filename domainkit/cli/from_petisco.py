"""`python -m domainkit from-petisco PATH`: code that uses petisco and meiga, rewritten for domainkit."""

import argparse
import sys
from pathlib import Path

from domainkit.adapters import missing_extra
from domainkit.cli._arguments import Commands, WrongArgumentError

_LEFT_TO_DECIDE = 3


def add_to(commands: Commands) -> None:
    """Add the command `from-petisco`."""
    parser = commands.add_parser("from-petisco", help="rewrite code that uses petisco, as far as that is certain")
    parser.add_argument("path", type=Path, metavar="PATH", help="a file, or the folder of an application")
    parser.add_argument("--write", action="store_true", help="write the files; default: print what would change")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    try:
        from domainkit.cli._petisco.files import outcomes  # noqa: PLC0415  (only this command needs it)
    except ModuleNotFoundError as error:
        raise missing_extra("from-petisco", "codemod") from error

    if not options.path.exists():
        raise WrongArgumentError(f"{options.path}: no such file or folder")
    found, unreadable = outcomes(options.path)
    changed = [one for one in found if one.new != one.old]
    for one in changed:
        if options.write:
            one.path.write_bytes(one.new)
        else:
            sys.stdout.write(one.diff())
    by_file = ((one.path, one.left_after() if options.write else one.left) for one in found)
    left = [f"{path}:{line}: {text}" for path, places in by_file for line, text in places]
    lines = [*left, *(f"{path}: not read, and left as it is: {reason}" for path, reason in unreadable.items())]
    done = "rewritten" if options.write else "would be rewritten (--write does it)"
    lines.append(f"files {done}: {len(changed)}; places left to decide: {len(left)}; files not read: {len(unreadable)}")
    print("\n".join(lines), file=sys.stderr)  # noqa: T201  (a command line prints)
    return 1 if unreadable else _LEFT_TO_DECIDE if left else 0

"""`python -m domainkit from-petisco PATH`: rewrites code that uses petisco and meiga for domainkit."""

import argparse
import shutil
import sys
from pathlib import Path

from domainkit.adapters import missing_extra
from domainkit.cli._arguments import Commands, WrongArgumentError

_LEFT_TO_DECIDE = 3


def add_to(commands: Commands) -> None:
    """Add the command `from-petisco`."""
    parser = commands.add_parser("from-petisco", help="rewrite code that uses petisco, where the result is certain")
    parser.add_argument("path", type=Path, metavar="PATH", help="a file, or the folder of an application")
    parser.add_argument("--write", action="store_true", help="write the files; default: print the changes as a diff")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    try:
        from domainkit.cli._petisco.files import outcomes  # noqa: PLC0415  (only this command needs it)
    except ModuleNotFoundError as error:
        raise missing_extra("from-petisco", "codemod") from error

    if not options.path.exists():
        raise WrongArgumentError(f"{options.path}: expected a file or folder, found none")
    found, failed = outcomes(options.path)
    changed = [one for one in found if one.new != one.old]
    for one in changed:
        if options.write:
            failed |= _written(one.path, one.new)
        else:
            sys.stdout.write(one.diff())
    by_file = [(one.path, one.left_after() if options.write else one.left) for one in found if one.path not in failed]
    left = [f"{path}:{line}: {text}" for path, places in by_file for line, text in places]
    done = "rewritten" if options.write else "would be rewritten (--write does it)"
    count = sum(one.path not in failed for one in changed)
    summary = f"files {done}: {count}; places left to decide: {len(left)}; files that failed: {len(failed)}"
    failures = [f"{path}: not changed: {reason}" for path, reason in failed.items()]
    print("\n".join([*left, *failures, summary]), file=sys.stderr)  # noqa: T201  (a command line prints)
    return 1 if failed else _LEFT_TO_DECIDE if left else 0


def _written(path: Path, text: bytes) -> dict[Path, str]:
    """Replace a file atomically; if that fails, keep the old file, and return the reason."""
    temporary = path.with_name(f".{path.name}.from-petisco")
    try:
        temporary.write_bytes(text)
        shutil.copymode(path, temporary)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        return {path: f"it can't be written: {error.strerror}"}
    return {}

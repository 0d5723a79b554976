"""`python -m domainkit new my_app`: a small application in a new folder, to start from."""

import argparse
import keyword
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path

from domainkit.cli._arguments import CommandFailedError, Commands, WrongArgumentError

_TEMPLATE = ".txt"
"""The suffix of the skeleton's files, so that tools don't treat them as code of this project."""

_DONE = """{name}: {count} files written. Next:

  cd {name}
  python -m pip install --upgrade pip   # 25.1 is the first with --group
  python -m pip install --editable . --group dev
  python -m pytest
  mypy
"""


def add_to(commands: Commands) -> None:
    """Add the command `new`."""
    parser = commands.add_parser("new", help="write a small application, with tests, into a new folder")
    parser.add_argument("name", metavar="NAME", help="of the folder and of the package in it, such as my_app")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    name: str = options.name
    reason = _refusal(name)
    if reason is not None:
        raise WrongArgumentError(f"{name}: {reason}")
    from domainkit._version import __version__  # noqa: PLC0415  (only this command needs it)

    found = _skeleton({b"@NAME@": name.encode(), b"@VERSION@": __version__.encode()})
    _write(Path(name), found)
    sys.stdout.write(_DONE.format(name=name, count=len(found)))
    return 0


def _refusal(name: str) -> str | None:
    """Return the reason why a name isn't allowed for a new package here; None if it is allowed."""
    if not re.fullmatch(r"[a-z]([a-z0-9_]*[a-z0-9])?", name) or keyword.iskeyword(name):
        return "expected lowercase letters, digits and underscores, and not a keyword; choose a name such as my_app"
    if Path(name).exists():
        return "expected the name of a new folder, got one that exists already; choose another name"
    if name in sys.stdlib_module_names:
        return "expected an unused name, got a module of the standard library; choose another name"
    if name == "tests" or find_spec(name) is not None:
        return "expected an unused name, got that of an installed package or of the tests' folder; choose another name"
    return None


def _skeleton(values: Mapping[bytes, bytes]) -> Mapping[str, bytes]:
    """Return the files of the new application by path, with each placeholder replaced by its value."""
    made: dict[str, bytes] = {}
    for path, template in _templates(files("domainkit.cli") / "_skeleton"):
        text = template
        for name, value in values.items():
            text = text.replace(name, value)
        made[path.removesuffix(_TEMPLATE).replace("@NAME@", values[b"@NAME@"].decode())] = text
    return made


def _templates(folder: Traversable, path: str = "") -> Iterator[tuple[str, bytes]]:
    """Yield the files of a folder and its subfolders, each with its path."""
    for one in sorted(folder.iterdir(), key=lambda one: one.name):
        if one.is_dir():
            yield from _templates(one, f"{path}{one.name}/")
        else:
            yield path + one.name, one.read_bytes()


def _write(folder: Path, found: Mapping[str, bytes]) -> None:
    """Create a folder with all of the files; if one can't be written, remove the folder."""
    try:
        folder.mkdir()
    except OSError as error:
        raise CommandFailedError(f"{folder}: the folder can't be created: {error.strerror}") from error
    try:
        for path, text in found.items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_bytes(text)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)  # created above, so it has only our files
        raise CommandFailedError(f"{folder}: the files can't be written: {error.strerror}") from error

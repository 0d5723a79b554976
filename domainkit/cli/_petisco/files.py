"""The files of an application: found, read, and each rewritten in the light of all."""

import os
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher, unified_diff
from pathlib import Path

import libcst as cst
from attrs import frozen

from domainkit.cli._petisco.project import Project, Source
from domainkit.cli._petisco.rewriter import rewritten

_NO_CODE = frozenset({"__pycache__", "node_modules", "site-packages"})
_UNREADABLE = (OSError, SyntaxError, cst.ParserSyntaxError, UnicodeError, RecursionError)


@frozen
class Outcome:
    """A file as it was and as it is to be, with what is left to a person, by line of the new text."""

    path: Path
    encoding: str
    old: bytes
    new: bytes
    left: tuple[tuple[int, str], ...]

    def diff(self) -> str:
        """Return the change as a unified diff."""
        before, after = (text.decode(self.encoding).splitlines(keepends=True) for text in (self.old, self.new))
        name = self.path.as_posix().lstrip("/")
        return "".join(unified_diff(before, after, f"a/{name}", f"b/{name}"))


def outcomes(path: Path) -> tuple[list[Outcome], dict[Path, str]]:
    """Return what becomes of the Python files at `path`, and why some could not be read."""
    sources: dict[Path, Source] = {}
    unreadable: dict[Path, str] = {}
    for one in [path] if path.is_file() else sorted(_python_files(path)):
        try:
            sources[one] = Source.read(one.absolute())
        except _UNREADABLE as error:
            unreadable[one] = str(error).partition("\n")[0] or type(error).__name__
    project = Project(tuple(sources.values()))
    return [_outcome(project, one, source) for one, source in sources.items()], unreadable


def _python_files(folder: Path) -> Iterator[Path]:
    """Yield the Python files under a folder, but for links and what is installed there."""
    for at, folders, names in os.walk(folder):
        here = Path(at)
        folders[:] = [name for name in folders if name not in _NO_CODE and not _is_foreign(here / name)]
        yield from (here / name for name in names if name.endswith(".py") and not (here / name).is_symlink())


def _is_foreign(folder: Path) -> bool:
    return folder.name.startswith(".") or (folder / "pyvenv.cfg").exists()


def _outcome(project: Project, path: Path, source: Source) -> Outcome:
    encoding, old = source.module.encoding, source.module.bytes
    new, left = rewritten(project, source)
    before, after = (text.decode(encoding).splitlines() for text in (old, new))
    if source.uses_petisco:
        return Outcome(path, encoding, old, new, tuple((_moved(before, after, line), text) for line, text in left))
    hints = (
        (first + 1, f"the file imports neither petisco nor meiga, so that it stays; write: {after[to].strip()}")
        for kind, first, _, to, end in SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
        if kind == "replace"
    )
    return Outcome(path, encoding, old, old, tuple(hints))


def _moved(before: Sequence[str], after: Sequence[str], line: int) -> int:
    """Return where a line is in the new text: it, or what took its place."""
    for _, first, end, to, to_end in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if first < line <= end:
            return min(to + line - first, max(to_end, 1))
    return line

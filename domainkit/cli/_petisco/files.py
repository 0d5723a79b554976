"""Files of an application: finding, reading and rewriting them, each with knowledge of all."""

import io
import os
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher, unified_diff
from pathlib import Path

import libcst as cst
from attrs import frozen

from domainkit.cli._petisco.project import Project, Source
from domainkit.cli._petisco.rewriter import rewritten

_NO_CODE = frozenset({"__pycache__", "node_modules", "site-packages"})
_ELSEWHERE = "the file itself imports neither petisco nor meiga, so it isn't changed"
_UNREADABLE = (OSError, SyntaxError, cst.ParserSyntaxError, UnicodeError, RecursionError)


@frozen
class Outcome:
    """Old and new content of a file, with the places left to a person, by line of the old text."""

    path: Path
    encoding: str
    old: bytes
    new: bytes
    left: tuple[tuple[int, str], ...]

    def diff(self) -> str:
        """Return the change as a unified diff."""
        name = self.path.as_posix().lstrip("/")
        before, after = self.old.decode(self.encoding), self.new.decode(self.encoding)
        lines = unified_diff(_lines(before), _lines(after), f"a/{name}", f"b/{name}")
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)

    def left_after(self) -> tuple[tuple[int, str], ...]:
        """Return the places left to a person, by line of the new text."""
        before, after = self.old.decode(self.encoding).splitlines(), self.new.decode(self.encoding).splitlines()
        spans = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
        return tuple((_moved(spans, line), text) for line, text in self.left)


def _lines(text: str) -> list[str]:
    """Return the lines of a text; as in a diff, a form feed doesn't end a line."""
    return io.StringIO(text, newline="").readlines()


def _moved(spans: Sequence[tuple[str, int, int, int, int]], line: int) -> int:
    """Return the number of a line, or of its replacement, in the new text."""
    (to, end, skipped) = next((to, end, line - first) for _, first, last, to, end in spans if first < line <= last)
    return min(to + skipped, max(to + 1, end))


def outcomes(path: Path) -> tuple[list[Outcome], dict[Path, str]]:
    """Return the outcomes of the Python files at `path`, and the reasons for unreadable ones."""
    sources: dict[Path, Source] = {}
    unreadable: dict[Path, str] = {}
    for one in [path] if path.is_file() else sorted(_python_files(path)):
        try:
            sources[one] = Source.read(one.absolute())
        except _UNREADABLE as error:
            unreadable[one] = f"it can't be read: {str(error).partition(chr(10))[0] or type(error).__name__}"
    project = Project(tuple(sources.values()))
    return [_outcome(project, one, source) for one, source in sources.items()], unreadable


def _python_files(folder: Path) -> Iterator[Path]:
    """Yield the Python files under a folder, except links and installed packages."""
    for at, folders, names in os.walk(folder):
        here = Path(at)
        folders[:] = [name for name in folders if name not in _NO_CODE and not _is_foreign(here / name)]
        yield from (here / name for name in names if name.endswith(".py") and not (here / name).is_symlink())


def _is_foreign(folder: Path) -> bool:
    return folder.name.startswith(".") or (folder / "pyvenv.cfg").exists()


def _outcome(project: Project, path: Path, source: Source) -> Outcome:
    encoding, old = source.module.encoding, source.module.bytes
    if not (source.uses_petisco or project.uses_others(source)):
        return Outcome(path, encoding, old, old, ())
    new, left = rewritten(project, source)
    if source.uses_petisco:
        return Outcome(path, encoding, old, new, tuple(left))
    before, after = old.decode(encoding).splitlines(), new.decode(encoding).splitlines()
    spans = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    hints = ((first + 1, after[to].strip()) for kind, first, _, to, _ in spans if kind == "replace")
    return Outcome(path, encoding, old, old, tuple((line, f"{_ELSEWHERE}; write: {text}") for line, text in hints))

"""`python -m domainkit from-petisco`: the command, and an application of some forty modules that it rewrites."""

import difflib
import os
import resource
import shutil
import subprocess
import sys
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import pytest
from checkers import APPLICATIONS_CACHE

pytest.importorskip("libcst", reason="needs the extra codemod")

from domainkit.cli import main

APPLICATION = Path(__file__).parent / "petisco_application"
EVENT = "from petisco import DomainEvent\n\nclass Created(DomainEvent): ...\n"
NEW_EVENT = "from domainkit import DomainEvent\n\nclass Created(DomainEvent): ...\n"
DECIDED = """
from attrs import field, frozen
from domainkit import ValueObject

def _stripped(text: str) -> str:
    return text.strip()

@frozen
class Title(ValueObject[str]):
    value: str = field(converter=_stripped)
"""
WITHOUT_PETISCO = "import sys; sys.modules.update(petisco=None, meiga=None);"


def python(*arguments: str, folder: Path) -> str:
    """Return the output of Python in a folder, where the application is found; it must end well."""
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(folder)}
    ran = subprocess.run(
        [sys.executable, *arguments], capture_output=True, check=False, cwd=folder, env=environment, text=True
    )
    assert 0 == ran.returncode, ran.stdout + ran.stderr
    return ran.stdout


class Rewritten(NamedTuple):
    """A copy of the application that the command has rewritten, and the lines that the command printed."""

    folder: Path
    printed: list[str]


@pytest.fixture(scope="module")
def rewritten(tmp_path_factory: pytest.TempPathFactory) -> Rewritten:
    """Return a copy of the application that the command has rewritten."""
    folder = tmp_path_factory.mktemp("rewritten") / "application"
    shutil.copytree(APPLICATION, folder, ignore=shutil.ignore_patterns("__pycache__"))
    with redirect_stderr(StringIO()) as printed:
        assert 3 == main(["from-petisco", str(folder), "--write"])
    return Rewritten(folder, printed.getvalue().splitlines())


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory, rewritten: Rewritten) -> Path:
    """Return the rewritten application with the validator that a person rewrote."""
    folder = tmp_path_factory.mktemp("decided") / "application"
    shutil.copytree(rewritten.folder, folder)
    title = folder / "taskboard/tasks/domain/title.py"
    with pytest.raises(TypeError, match=r"Title\.validate_value: pydantic uses it"):
        exec(compile(title.read_text("utf-8"), str(title), "exec"), {"__name__": "title"})
    title.write_text(DECIDED, "utf-8")
    return folder


def test_the_application_is_one_of_petisco() -> None:
    """The application that is rewritten is as large as a real one, and does its work with petisco."""
    lines = python("-m", "taskboard.scenario", folder=APPLICATION).splitlines()

    assert 30 <= len([*APPLICATION.rglob("*.py")])
    assert "Countess C 1 a7f8fb8e-6a0b-4f3e-9a55-1d6f0c2b4e11" in lines
    python("-c", "import taskboard.api.application, taskboard.api.controllers", folder=APPLICATION)


def test_the_rewritten_application_does_the_same(application: Path) -> None:
    """Rewritten, it does the same where neither petisco nor meiga can be imported."""
    start = f"{WITHOUT_PETISCO} import runpy; runpy.run_module('taskboard.scenario', run_name='__main__')"

    assert python("-m", "taskboard.scenario", folder=APPLICATION) == python("-c", start, folder=application)
    python("-c", f"{start}; import taskboard.api.error_map", folder=application)


def test_the_rewritten_application_is_typed(application: Path) -> None:
    """All of it passes mypy --strict."""
    pytest.importorskip("mypy", reason="mypy is not installed: pip install --group types")
    # the options of a new application, which fills the same cache
    options = ("--strict", "--warn-unreachable", "--python-version=3.11", f"--cache-dir={APPLICATIONS_CACHE}")

    assert "Success" in python("-m", "mypy", *options, "taskboard", folder=application)


def test_what_is_left_of_the_application(rewritten: Rewritten) -> None:
    """Three places are left: the controller, the container of dependencies, and a validator that changes its value."""
    folder, (*places, summary) = rewritten

    assert ["application.py", "controllers.py", "title.py"] == [Path(one.split(":")[0]).name for one in places]
    assert "files rewritten: 27; places left to decide: 3; files that failed: 0" == summary

    before = {path: path.read_bytes() for path in folder.rglob("*.py")}
    assert 3 == main(["from-petisco", str(folder), "--write"])
    assert before == {path: path.read_bytes() for path in folder.rglob("*.py")}


def test_nothing_is_written_without_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --write the change is printed as a unified diff, and nothing is touched."""
    file = tmp_path / "event.py"
    file.write_text(EVENT, "utf-8")
    name = file.as_posix().lstrip("/")
    expected = difflib.unified_diff(EVENT.splitlines(True), NEW_EVENT.splitlines(True), f"a/{name}", f"b/{name}")

    assert 0 == main(["from-petisco", str(tmp_path)])
    printed = capsys.readouterr()
    assert "".join(expected) == printed.out
    assert (
        "files would be rewritten (--write does it): 1; places left to decide: 0; files that failed: 0\n" == printed.err
    )
    assert EVENT == file.read_text("utf-8")


def test_a_diff_of_a_file_without_a_last_newline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A last line without a newline is marked in the diff as in those of other tools."""
    (tmp_path / "event.py").write_text(EVENT.rstrip(), "utf-8")

    main(["from-petisco", str(tmp_path / "event.py")])
    lines = capsys.readouterr().out.splitlines()
    assert "\\ No newline at end of file" == lines[-1]


def test_lines_of_what_is_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A place is given by its line in the file as it is: before it is written, and after."""
    file = tmp_path / "title.py"
    text = "from petisco import ValueObject, Controller\n\nclass Title(ValueObject): ...\n\nx = Controller\n"
    file.write_text(text, "utf-8")
    for option, lines in ((), [1, 3]), (["--write"], [1, 4]):
        assert 3 == main(["from-petisco", str(file), *option])
        places = capsys.readouterr().err.splitlines()[:-1]
        assert lines == [int(place.removeprefix(f"{file}:").split(":")[0]) for place in places]


@pytest.mark.parametrize(
    "broken",
    [b"from petisco import (\n", b"# coding: nope\n", b"x = '\xff'\n", b"x\0"],
    ids=["syntax", "cookie", "bytes", "nul"],
)
def test_a_file_that_cannot_be_read(broken: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is no Python is named and stays as it is; the others are rewritten, and the exit status is 1."""
    (tmp_path / "broken.py").write_bytes(broken)
    (tmp_path / "event.py").write_text(EVENT, "utf-8")

    assert 1 == main(["from-petisco", str(tmp_path), "--write"])
    place, summary = capsys.readouterr().err.splitlines()
    assert place.startswith(f"{tmp_path / 'broken.py'}: not changed: it can't be read: ")
    assert "files rewritten: 1; places left to decide: 0; files that failed: 1" == summary
    assert broken == (tmp_path / "broken.py").read_bytes()
    assert NEW_EVENT == (tmp_path / "event.py").read_text("utf-8")


def test_a_file_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that can't be written, as on a full disk, is named and stays whole; nothing is left beside it."""
    file = tmp_path / "event.py"
    file.write_text(EVENT, "utf-8")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9, limit[1]))
    try:
        status = main(["from-petisco", str(tmp_path), "--write"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)

    assert 1 == status
    place, summary = capsys.readouterr().err.splitlines()
    assert f"{file}: not changed: it can't be written: File too large" == place
    assert "files rewritten: 0; places left to decide: 0; files that failed: 1" == summary
    assert [file] == [*tmp_path.iterdir()]
    assert EVENT == file.read_text("utf-8")


def test_the_mode_of_a_file_is_kept(tmp_path: Path) -> None:
    """A file that may be executed may be so afterwards."""
    file = tmp_path / "event.py"
    file.write_text(EVENT, "utf-8")
    file.chmod(0o755)

    assert 0 == main(["from-petisco", str(file), "--write"])
    assert 0o755 == file.stat().st_mode & 0o777


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (EVENT.replace("\n", "\r\n").encode(), NEW_EVENT.replace("\n", "\r\n").encode()),
        (b"\xef\xbb\xbf" + EVENT.encode(), b"\xef\xbb\xbf" + NEW_EVENT.encode()),
        (b"# coding: latin-1\n# \xe9\n" + EVENT.encode(), b"# coding: latin-1\n# \xe9\n" + NEW_EVENT.encode()),
    ],
    ids=["CRLF", "BOM", "cookie"],
)
def test_bytes_are_kept(before: bytes, after: bytes, tmp_path: Path) -> None:
    """Ends of lines, a byte order mark and an encoding stay those of the file."""
    file = tmp_path / "event.py"
    file.write_bytes(before)

    assert 0 == main(["from-petisco", str(file), "--write"])
    assert after == file.read_bytes()


def test_inserted_lines_end_as_the_file_does(tmp_path: Path) -> None:
    """Lines that are added end as those of the file."""
    file = tmp_path / "event.py"
    file.write_bytes(EVENT.replace("): ...", "):\n    name: str").replace("\n", "\r\n").encode())

    assert 0 == main(["from-petisco", str(file), "--write"])
    assert file.read_bytes().count(b"\n") == file.read_bytes().count(b"\r\n") == 6


def test_which_files_are_rewritten(tmp_path: Path) -> None:
    """Those in nested folders are; links, and folders that hold what is installed or begin with a dot, are not."""
    outside = tmp_path / "outside"
    root = tmp_path / "app"
    for folder in (outside, root / "deep" / "er", root / ".hidden", root / "node_modules", root / "env"):
        folder.mkdir(parents=True)
        (folder / "event.py").write_text(EVENT, "utf-8")
    (root / "env" / "pyvenv.cfg").touch()
    (root / "text.txt").write_text(EVENT, "utf-8")
    (root / "linked.py").symlink_to(outside / "event.py")
    (root / "linked").symlink_to(outside, target_is_directory=True)

    assert 0 == main(["from-petisco", str(root), "--write"])
    files = [path for path in tmp_path.rglob("*.*") if path.is_file()]
    changed = {path.relative_to(tmp_path) for path in files if "domainkit" in path.read_text("utf-8")}
    assert {Path("app/deep/er/event.py")} == changed


def test_a_file_without_petisco(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that imports neither petisco nor meiga is never edited; what it needs is listed with the line to write."""
    text = "from petisco import UseCase\n\nclass Create(UseCase):\n    def execute(self): ...\n"
    (tmp_path / "cases.py").write_text(text, "utf-8")
    main_file = tmp_path / "run.py"
    main_file.write_text("from cases import Create\n\nprint(Create().execute())\n", "utf-8")
    (tmp_path / "other.py").write_text("def handle(session, value):\n    session.execute(value.value)\n", "utf-8")

    assert 3 == main(["from-petisco", str(tmp_path), "--write"])
    (place, _) = capsys.readouterr().err.splitlines()
    assert f"{main_file}:3: " == place[: len(str(main_file)) + 4]
    assert place.endswith("; write: print(Create()())")
    assert "print(Create().execute())" in main_file.read_text("utf-8")


def test_classes_of_other_files(tmp_path: Path) -> None:
    """A class is known wherever it is imported from: by whole names, relative ones, and through other modules."""
    ids, root = "from petisco import Uuid\n\nclass TaskId(Uuid): ...\n", "from petisco import AggregateRoot, Uuid\n"
    task = "class Task(AggregateRoot):\n    aggregate_id: TaskId\n"
    user = "class UserId(Uuid): ...\n\nclass User(AggregateRoot):\n    aggregate_id: UserId\n"
    uses = """from petisco import CrudRepository
from .task import Task
from app.user import User

def f(tasks: CrudRepository[Task], users: CrudRepository[User], task: Task) -> str:
    return task.aggregate_id.value
"""
    circles = """from petisco import CrudRepository, Uuid
from a import b
from b import a

class A(B): ...
class B(A): ...

def f(one: CrudRepository[int], two: a, three: b, four: A) -> Uuid:
    two.value, three.value, four.value
    return Uuid(one)
"""
    files = {
        "app/__init__.py": "from .ids import TaskId\n",
        "app/ids.py": ids,
        "app/task.py": f"{root}from . import TaskId\n\n{task}",
        "app/user.py": f"{root}\n{user}",
        "app/uses.py": uses,
        "app/circles.py": circles,
        "a.py": "from b import b\n",
        "b.py": "from a import b\nimport a.c\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")

    assert 3 == main(["from-petisco", str(tmp_path), "--write"])
    uses, circles = ((tmp_path / "app" / name).read_text("utf-8") for name in ("uses.py", "circles.py"))
    assert "from app.user import UserId, User\n" in uses
    assert "tasks: CrudRepository[Task], users: CrudRepository[User, UserId]" in uses
    assert "return str(task.aggregate_id)" in uses
    assert "return Uuid.from_value(one)" in circles


def test_there_is_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A path where nothing is is a wrong argument."""
    with pytest.raises(SystemExit, match="2"):
        main(["from-petisco", str(tmp_path / "none")])
    assert f"{tmp_path / 'none'}: expected a file or folder, found none" in capsys.readouterr().err


def test_without_the_extra() -> None:
    """Without libcst the command says how to get it, and the others work."""
    program = "import sys; sys.modules['libcst'] = None; from domainkit.cli import main; sys.exit(main(sys.argv[1:]))"
    runs = [
        subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, check=False, text=True)
        for arguments in (["from-petisco", "."], ["--help"])
    ]

    assert [1, 0] == [run.returncode for run in runs]
    assert "from-petisco needs an extra: pip install 'domainkit-attrs[codemod]'" in runs[0].stderr
    assert "from-petisco" in runs[1].stdout

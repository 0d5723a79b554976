"""`python -m domainkit new`: an application to start from, that passes its own checks at once."""

import os
import re
import resource
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from checkers import APPLICATIONS_CACHE

import domainkit
from domainkit.cli import main

ROOT = Path(__file__).parents[2]
SKELETON = ROOT / "domainkit" / "cli" / "_skeleton"
EXAMPLE = ROOT / "docs" / "examples" / "task_manager"
NAME = "bakery"
FILES = {
    ".gitignore",
    "README.md",
    "mypy.ini",
    "pyproject.toml",
    f"{NAME}/__init__.py",
    f"{NAME}/domain.py",
    f"{NAME}/py.typed",
    f"{NAME}/use_cases.py",
    f"{NAME}/wiring.py",
    "tests/test_domain.py",
    "tests/test_use_cases.py",
    "tests/test_wiring.py",
}


def files_in(folder: Path) -> dict[str, bytes]:
    """Return the bytes of each file of a folder, by its path in there."""
    return {one.relative_to(folder).as_posix(): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that the command has made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("new"))
        assert 0 == main(["new", NAME])
        return Path.cwd() / NAME


def checked(folder: Path, *command: str) -> str:
    """Return what a tool of Python says of an application, in a process of its own; it must find nothing wrong."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("COV", "PYTEST"))}
    environment = kept | {"PATH": path, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, check=False, cwd=folder, env=environment, text=True
    )
    assert 0 == ran.returncode, ran.stdout + ran.stderr
    return ran.stdout


def test_it_has_all_that_an_application_needs(application: Path) -> None:
    """It has the layers, a test for each, the configuration of the tools, and a README that names the files."""
    found = files_in(application)
    page = found["README.md"].decode()

    assert FILES == found.keys()
    assert [] == [path for path, text in found.items() if re.search(rb"@[A-Z]+@", text)]
    assert set() == {path for path in re.findall(r"`([\w/]+\.py)`", page) if path not in found}
    assert [f"domainkit-attrs[sql]>={domainkit.__version__}"] == dependencies(found["pyproject.toml"])


def dependencies(text: bytes) -> list[str]:
    """Return what a pyproject.toml says that its project needs."""
    found: list[str] = tomllib.loads(text.decode())["project"]["dependencies"]
    return found


def test_its_tests_pass(application: Path) -> None:
    """Its own tests pass as they are."""
    pytest.importorskip("aiosqlite", reason="aiosqlite isn't installed: the application needs the extra sql")

    assert "passed" in checked(application, "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", "-W", "error")


def test_its_types_pass_mypy(application: Path) -> None:
    """It passes mypy --strict, its tests too, as its own configuration asks for."""
    pytest.importorskip("sqlalchemy", reason="sqlalchemy isn't installed: the application needs the extra sql")
    pytest.importorskip("mypy", reason="mypy is not installed: pip install --group types")

    cache = f"--cache-dir={APPLICATIONS_CACHE}"
    assert "Success: no issues found in 7 source files" in checked(application, "mypy", cache)


def test_its_types_pass_pyright(application: Path) -> None:
    """It passes pyright in its strict mode, as its own configuration asks for."""
    pytest.importorskip("sqlalchemy", reason="sqlalchemy isn't installed: the application needs the extra sql")
    pytest.importorskip("pyright", reason="pyright is not installed: pip install --group types")

    assert "0 errors, 0 warnings" in checked(application, "pyright", f"--pythonpath={sys.executable}")


@pytest.mark.parametrize("name", ["domain.py", "use_cases.py", "wiring.py"])
def test_it_is_the_example_of_the_tutorial(name: str) -> None:
    """Its layers are those of the Task Manager that the tutorial explains, byte by byte."""
    assert (EXAMPLE / name).read_bytes() == (SKELETON / "@NAME@" / f"{name}.txt").read_bytes()


def test_nothing_of_the_skeleton_looks_like_code() -> None:
    """Each file of the skeleton is one of text: tools that look for code leave it alone."""
    assert {".txt"} == {path.suffix for path in SKELETON.rglob("*") if path.is_file()}


def test_it_says_what_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command says how many files it wrote, and what to type next."""
    monkeypatch.chdir(tmp_path)

    assert 0 == main(["new", "b"])
    first, *_ = lines = capsys.readouterr().out.splitlines()
    assert f"b: {len(FILES)} files written. Next:" == first
    assert "  cd b" in lines


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Bakery", "expected lowercase letters, digits and underscores"),
        ("my-bakery", "expected lowercase letters, digits and underscores"),
        ("1st", "expected lowercase letters, digits and underscores"),
        ("_bakery", "expected lowercase letters, digits and underscores"),
        ("bakery_", "expected lowercase letters, digits and underscores"),
        ("bäckerei", "expected lowercase letters, digits and underscores"),
        ("../bakery", "expected lowercase letters, digits and underscores"),
        ("bakery\n", "expected lowercase letters, digits and underscores"),
        ("", "expected lowercase letters, digits and underscores"),
        ("class", "expected lowercase letters, digits and underscores"),
        ("json", "expected an unused name, got a module of the standard library"),
        ("domainkit", "expected an unused name, got that of an installed package"),
        ("attrs", "expected an unused name, got that of an installed package"),
        ("tests", "expected an unused name, got that of an installed package"),
    ],
)
def test_a_name_that_no_package_can_have(
    name: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name that isn't one, or that hides another module, is refused with the reason; nothing is written."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SystemExit) as ended:
        main(["new", name])
    assert 2 == ended.value.code
    assert f"error: {name}: {reason}" in capsys.readouterr().err
    assert [] == [*tmp_path.iterdir()]


def test_nothing_is_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that exists is refused, even an empty one, and so is a file; what is in it stays as it is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / "README.md").write_bytes(b"mine")

    for name in (NAME, "empty", "file"):
        with pytest.raises(SystemExit) as ended:
            main(["new", name])
        assert 2 == ended.value.code
        assert f"{name}: expected the name of a new folder, got one that exists already" in capsys.readouterr().err
    assert {"file": b"mine", f"{NAME}/README.md": b"mine"} == files_in(tmp_path)


def test_a_folder_that_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If the folder can't be made, as over a link that leads nowhere, the command fails and says why."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / NAME).symlink_to("nowhere")

    assert 1 == main(["new", NAME])
    assert f"python -m domainkit: {NAME}: the folder can't be created: File exists\n" == capsys.readouterr().err


def test_a_folder_that_cannot_be_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If a file can't be written, as on a full disk, the command fails and says why; nothing half-written is left."""
    monkeypatch.chdir(tmp_path)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))
    try:
        status = main(["new", NAME])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)

    assert 1 == status
    assert f"python -m domainkit: {NAME}: the files can't be written: File too large\n" == capsys.readouterr().err
    assert [] == [*tmp_path.iterdir()]


def test_the_page_about_it_names_its_files() -> None:
    """The page lists each layer, the tests, the configuration and the README, and nothing else."""
    page = (ROOT / "docs" / "how-to" / "new-project.md").read_text("utf-8")
    told = re.findall(r"`([^`]+)`", "".join(re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)))
    untold = {".gitignore", f"{NAME}/__init__.py", f"{NAME}/py.typed"}
    written = {"tests/" if path.startswith("tests/") else path for path in FILES - untold}

    assert written == {name.replace("my_app", NAME) for name in told}

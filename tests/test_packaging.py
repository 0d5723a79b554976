"""Builds of the sources: with a C compiler, without one, and for every machine. No network is needed.

Each wheel is built of the sdist, as package managers do, and a message goes through it in a process of its own.
"""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
STRICT = "-Wall -Wextra -Werror" if os.environ.get("CI") == "true" else ""
"""In CI a warning of the C compiler is an error; elsewhere another compiler may know more of them."""

ROUND_TRIP = ROOT / ".ci" / "round_trip.py"
"""The script that tries an installation: the domain, a message to bytes and back, a use case."""


def run(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, with these variables; neither the developer's wishes nor coverage follow there."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("COV", "PYTHON", "DOMAINKIT"))}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, capture_output=True, check=False, cwd=cwd, encoding="utf-8", env={**kept, **variables}
    )


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the unpacked sdist, made of a copy of this checkout."""
    copy, made = tmp_path_factory.mktemp("checkout") / "domainkit", tmp_path_factory.mktemp("sdist")
    left_out = shutil.ignore_patterns(
        ".git",
        ".venv*",
        ".*_cache",
        ".hypothesis",
        "*.egg-info",
        "build",
        "dist",
        "_build",
        "__pycache__",
        ".coverage*",
    )
    shutil.copytree(ROOT, copy, ignore=left_out)  # other tests run meanwhile: what comes and goes stays behind
    (copy / "domainkit" / "values.pyc").touch()
    hook = f"from setuptools import build_meta; build_meta.build_sdist({str(made)!r})"
    built = run("-c", hook, cwd=copy, DOMAINKIT_COMPILE="never")
    assert 0 == built.returncode, built.stderr
    (archive,) = made.iterdir()
    with tarfile.open(archive) as tar:
        safely: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # from 3.11.4 on
        tar.extractall(made, **safely)
    return made / archive.name.removesuffix(".tar.gz")


class Wheel:
    """A wheel built of the sources with these variables, and unpacked."""

    def __init__(self, sources: Path, folder: Path, **variables: str) -> None:
        options = ("--no-build-isolation", "--no-deps", "--no-index", "--disable-pip-version-check")
        copy, wheels = folder / "sources", folder / "wheels"
        shutil.copytree(sources, copy)
        self.built = run("-m", "pip", "wheel", *options, "-w", str(wheels), str(copy), cwd=folder, **variables)
        self.files = list(wheels.glob("*.whl"))
        self.installed = folder / "installed"

    def names(self) -> set[str]:
        """Return the files of the package that aren't Python."""
        assert 0 == self.built.returncode, self.built.stdout + self.built.stderr
        with zipfile.ZipFile(self.files[0]) as archive:
            archive.extractall(self.installed)
            return {name for name in archive.namelist() if name.startswith("domainkit/") and not name.endswith(".py")}

    def is_compiled(self) -> bool:
        """Bring a message to bytes and back, by what the wheel has installed; return whether C did a part of it."""
        ran = run(str(ROUND_TRIP), cwd=self.installed.parent, PYTHONPATH=str(self.installed))
        assert 0 == ran.returncode, ran.stderr
        file, compiled, version = ran.stdout.splitlines()
        assert (str(self.installed / "domainkit" / "_speedups" / "slots.py"), PROJECT["version"]) == (file, version)
        return compiled == "compiled"


SKELETON = {
    path.relative_to(ROOT).as_posix() for path in (ROOT / "domainkit/cli/_skeleton").rglob("*") if path.is_file()
}
PLAIN = {"domainkit/py.typed", "domainkit/_fast.pyi", *SKELETON}
"""Files of the package besides Python, wherever it is built."""


def test_the_sdist_has_all_that_it_takes_to_build_and_test(sources: Path) -> None:
    """It has the C files, the skeleton, the tests with their configuration, the documentation, and nothing built."""
    files = {path.relative_to(sources).as_posix() for path in sources.rglob("*") if path.is_file()}
    single = {path.name for path in ROOT.glob("*.md")} | {
        "LICENSE",
        "CITATION.cff",
        "Makefile",
        "conftest.py",
        "mypy.ini",
    }
    wanted = [
        ROOT / ".ci",
        ROOT / ".github" / "workflows",
        ROOT / "domainkit" / "_speedups",
        ROOT / "tests",
        ROOT / "tests" / "golden",
        ROOT / "docs",
        ROOT / "benchmarks",
    ]
    inside = {path.relative_to(ROOT).as_posix() for folder in wanted for path in folder.iterdir() if path.is_file()}

    assert {"domainkit/_speedups/fast.c", "tests/golden/task_created_v1.json", *single, *SKELETON} < files
    assert set() == inside - files
    assert [] == [path for path in files if path.endswith((".so", ".pyd", ".pyc"))]


@pytest.mark.skipif(os.name == "nt", reason="on Windows no variable names the compiler")
def test_without_a_compiler_it_installs_and_works(sources: Path, tmp_path: Path) -> None:
    """If the compiler fails, the wheel is built all the same, and everything is done in Python."""
    wheel = Wheel(sources, tmp_path, CC=failing_compiler(tmp_path))

    assert wheel.names() == PLAIN
    assert not wheel.is_compiled()


@pytest.mark.skipif(os.name == "nt", reason="on Windows no variable names the compiler")
def test_a_build_that_must_compile_fails_where_it_can_not(sources: Path, tmp_path: Path) -> None:
    """With DOMAINKIT_COMPILE=always a compiler that fails is an error, so that nobody ships a slow wheel unawares."""
    wheel = Wheel(sources, tmp_path, CC=failing_compiler(tmp_path), DOMAINKIT_COMPILE="always")

    assert 0 != wheel.built.returncode
    assert [] == wheel.files


def failing_compiler(folder: Path) -> str:
    """Return the path of a compiler that always fails."""
    program = folder / "failing"
    program.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    program.chmod(0o755)
    return str(program)


def test_with_a_compiler_a_part_is_compiled(sources: Path, tmp_path: Path) -> None:
    """The wheel for this machine has the extension, and no C; what it does in C comes to the same."""
    if not can_compile():
        pytest.skip("there is no C compiler, or Python is without its headers")
    wheel = Wheel(sources, tmp_path, DOMAINKIT_COMPILE="always", CFLAGS=f"{os.environ.get('CFLAGS', '')} {STRICT}")

    assert wheel.names() == PLAIN | {f"domainkit/_fast{sysconfig.get_config_var('EXT_SUFFIX')}"}
    assert wheel.is_compiled()


def can_compile() -> bool:
    """Tell whether there is what it takes to compile for this Python."""
    compiler, *_ = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cl")
    return shutil.which(compiler) is not None and Path(sysconfig.get_path("include"), "Python.h").is_file()


def test_a_wheel_for_every_machine(sources: Path, tmp_path: Path) -> None:
    """With DOMAINKIT_COMPILE=never the wheel is for any Python on any machine, and has nothing compiled."""
    wheel = Wheel(sources, tmp_path, DOMAINKIT_COMPILE="never")

    assert wheel.names() == PLAIN
    assert wheel.files[0].name.endswith("-py3-none-any.whl")
    assert not wheel.is_compiled()


def test_an_index_takes_what_is_built(sources: Path, tmp_path: Path) -> None:
    """Metadata and description of the sdist and of a wheel are as an index wants them, to the letter."""
    pytest.importorskip("twine", reason="twine is not installed: pip install --group release")
    wheel = Wheel(sources, tmp_path, DOMAINKIT_COMPILE="never")
    built = [*map(str, wheel.files), *map(str, sources.parent.glob("*.tar.gz"))]
    checked = run("-m", "twine", "--no-color", "check", "--strict", *built, cwd=tmp_path)

    assert 2 == len(built)
    assert (0, 2) == (checked.returncode, checked.stdout.count("PASSED")), checked.stdout + checked.stderr


def test_a_wish_that_is_no_wish_is_refused(sources: Path) -> None:
    """Any other value ends the build, and is told what to write."""
    ran = run("setup.py", "--name", cwd=sources, DOMAINKIT_COMPILE="yes")

    assert 0 != ran.returncode
    assert "DOMAINKIT_COMPILE is 'yes': write always or never, or leave it out" in ran.stderr

"""The C part with the sanitizers of gcc: no access out of bounds or after free, and no undefined behaviour."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer", "-g", "-O1")
TESTS = ("tests/test_fast.py", "tests/test_slots.py")
SLOW = "not no_reference and not another"  # a thousand calls each; and an interpreter that loads another build

RUN = """
import sys
from importlib.util import module_from_spec, spec_from_file_location
import pytest

spec = spec_from_file_location("domainkit._fast", sys.argv[1])
sys.modules["domainkit._fast"] = module = module_from_spec(spec)  # in the place of the usual build
spec.loader.exec_module(module)
status = pytest.main(sys.argv[2:])
from domainkit._speedups import slots as _slots
assert _slots.Maker is module.Maker
sys.exit(status)
"""


def found(library: str) -> str:
    """Return where gcc has a library; an empty text where it has none, or there is no gcc."""
    if shutil.which("gcc") is None:
        return ""
    told = subprocess.run(["gcc", f"-print-file-name={library}"], capture_output=True, check=True, encoding="utf-8")
    return told.stdout.strip() if Path(told.stdout.strip()).is_absolute() else ""


LIBRARIES = [found("libasan.so"), found("libubsan.so")]


@pytest.mark.skipif(not all(LIBRARIES), reason="no gcc with its sanitizers was at hand")
def test_the_sanitizers_find_nothing(tmp_path: Path) -> None:
    """The tests of the C part pass in a build that looks at every access."""
    built = tmp_path / f"_fast{sysconfig.get_config_var('EXT_SUFFIX')}"
    source = str(ROOT / "domainkit/_speedups/fast.c")
    include = f"-I{sysconfig.get_paths()['include']}"
    subprocess.run(["gcc", *SANITIZERS, "-shared", "-fPIC", include, source, "-o", str(built)], check=True)
    options = ("-q", "--capture=sys", "-k", SLOW)  # so that the report of a sanitizer is seen
    command = [sys.executable, "-c", RUN, str(built), *options, *TESTS]
    variables = {
        **os.environ,
        "LD_PRELOAD": " ".join(LIBRARIES),
        "PYTHONMALLOC": "malloc",  # else Python hands out parts of large blocks, in which nothing is seen
        "ASAN_OPTIONS": "detect_leaks=0",  # the interpreter's own; those of the C part are what test_fast.py counts
    }
    ran = subprocess.run(command, capture_output=True, check=False, cwd=ROOT, encoding="utf-8", env=variables)
    assert 0 == ran.returncode, ran.stdout + ran.stderr
    assert " passed" in ran.stdout

#!/bin/sh
# pytest 9.0.2 on CPython 3.11: with --doctest-modules, --doctest-ignore-import-errors and --import-mode=importlib, a
# test module that can't be imported is one skipped item, and the run succeeds. The option is documented for doctests
# alone: without --doctest-modules, or in the mode "prepend", the same module is an error in collection.
#
# The doctest collector imports the module first and skips it; in this mode the failed import leaves something behind
# that the collector of tests then finds, so that its own import doesn't fail any more, and has no tests in it.
#
# Output seen: "importlib: 0, 1 passed, 1 skipped", "prepend: 2, 1 skipped, 1 error", "no doctests: 2, 1 error".
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv .venv
.venv/bin/pip install -q pytest==9.0.2
mkdir tests
printf 'from math import no_such_name\n\n\ndef test_it() -> None:\n    assert no_such_name\n' > tests/test_broken.py
printf 'def test_it() -> None:\n    pass\n' > tests/test_sound.py

seen() { # a name, then options of pytest
    name=$1
    shift
    code=0
    .venv/bin/python -m pytest -q "$@" tests > out 2>&1 || code=$?
    echo "$name: $code, $(tail -n 1 out | sed 's/ in .*//')"
}

{
    seen "importlib" --doctest-modules --doctest-ignore-import-errors --import-mode=importlib
    seen "prepend" --doctest-modules --doctest-ignore-import-errors --import-mode=prepend
    seen "no doctests" --doctest-ignore-import-errors --import-mode=importlib
} | tee seen

diff - seen <<'END'
importlib: 0, 1 passed, 1 skipped
prepend: 2, 1 skipped, 1 error
no doctests: 2, 1 error
END

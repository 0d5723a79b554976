#!/bin/sh
# pytest-xdist 3.8.0 beside pytest 9.2.0, on CPython 3.11: `--dist loadgroup` spreads the tests of one
# `xdist_group` over the processes, without a word; beside pytest 9.0.2 one process runs all of them, as documented.
# A server or a file that the tests of a group share is then made twice, or changed by two at a time.
#
# Output seen (processes by version of pytest): "9.0.2: 1", "9.2.0: 2".
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv .venv
cat > test_group.py <<'END'
import time
from pathlib import Path

import pytest
from xdist import get_xdist_worker_id


@pytest.mark.parametrize("number", range(6))
@pytest.mark.xdist_group("shared")
def test_it(number: int, request: pytest.FixtureRequest) -> None:
    with Path("processes").open("a") as file:
        file.write(f"{get_xdist_worker_id(request)}\n")
    time.sleep(0.2)
END

for version in 9.0.2 9.2.0; do
    .venv/bin/pip install -q pytest==$version pytest-xdist==3.8.0
    rm -f processes
    .venv/bin/python -m pytest -q -n 2 --dist loadgroup > out 2>&1 || { cat out; exit 1; }
    echo "$version: $(sort -u processes | wc -l)"
done | tee seen

diff - seen <<'END'
9.0.2: 1
9.2.0: 2
END

#!/bin/sh
# coverage 7.17.5 (by pytest-cov 7.1.0) and SQLAlchemy 2.1.9, on CPython 3.11: measured for one submodule
# (`--cov=shop.db.rows`), a green test that executes a SELECT fails with a TypeError from SQLAlchemy's compiled part;
# measured for the whole package (`--cov=shop`), it passes. To find the file of the submodule, coverage imports its parent
# packages, and then removes what came with them from sys.modules; here that is SQLAlchemy, whose compiled modules still
# hold parts of the first import when the test imports it anew. Nothing in the error names coverage.
#
# Output seen: below (what is measured, and what became of the test).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv .venv
.venv/bin/pip install -q sqlalchemy==2.1.9 coverage==7.17.5 pytest==9.0.2 pytest-cov==7.1.0
mkdir -p shop/db
touch shop/__init__.py
echo "import sqlalchemy" > shop/db/__init__.py
cat > shop/db/rows.py <<'END'
from sqlalchemy import create_engine, false, select, text


def none() -> list[object]:
    with create_engine("sqlite://").connect() as connection:
        return list(connection.execute(select(text("1")).where(false())))
END
cat > test_rows.py <<'END'
from shop.db.rows import none


def test_none() -> None:
    assert none() == []
END

for measured in shop shop.db.rows; do
    .venv/bin/python -m pytest -q --cov=$measured test_rows.py > out 2>&1 || true
    echo "$measured: $(grep -oE '1 passed|1 failed|TypeError: .* is not callable' out | sort -u | tr '\n' ' ')"
done | tee seen

diff -b - seen <<'END'
shop: 1 passed
shop.db.rows: 1 failed TypeError: 'InternalTraversal' object is not callable
END

#!/bin/sh
# SQLAlchemy 2.1.9: an INSERT of several dicts in one execute() has the columns of the first dict. A key that only a later
# one has is left out without a word, and what it holds is lost; a key that a later one lacks is a StatementError. So the
# order of the rows decides whether a mistake is told. Rows that are made one by one, with optional columns, meet this.
#
# Output seen: below.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv .venv
.venv/bin/pip install -q sqlalchemy==2.1.9
.venv/bin/python - <<'END' | tee seen
from sqlalchemy import Column, Integer, MetaData, Table, Text, create_engine, insert, select
from sqlalchemy.exc import StatementError

parcels = Table("parcels", MetaData(), Column("id", Integer, primary_key=True), Column("note", Text))
engine = create_engine("sqlite://")
with engine.begin() as connection:
    parcels.create(connection)
    for rows in ([{"id": 1}, {"id": 2, "note": "fragile"}], [{"id": 3, "note": "fragile"}, {"id": 4}]):
        try:
            connection.execute(insert(parcels), rows)
        except StatementError:
            print("refused")
        else:
            print(connection.execute(select(parcels)).all())
END

diff - seen <<'END'
[(1, None), (2, None)]
refused
END

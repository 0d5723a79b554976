#!/bin/sh
# SQLAlchemy 2.1.9 on SQLite (pysqlite): a "connect" listener sets the driver's isolation_level to None, so that nothing
# begins a transaction by itself, and "begin" sends BEGIN, as SQLAlchemy's own recipe for SQLite does. After one user of the
# pool has asked for AUTOCOMMIT, the pool hands the same connection out with the driver's implicit transactions turned on:
# the reset writes SQLAlchemy's default for the dialect, not what the listener had set. Code that counts on
# autocommit at the driver from then on writes rows that nobody commits, and they are gone without an error.
#
# Output seen: below (isolation_level of the driver's connection; rows that another connection sees).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv .venv
.venv/bin/pip install -q sqlalchemy==2.1.9
.venv/bin/python - <<'END' | tee seen
import sqlite3

from sqlalchemy import create_engine, event

engine = create_engine("sqlite:///stock.db", pool_size=1, max_overflow=0)


@event.listens_for(engine, "connect")
def commit_each_statement(connection, _):
    connection.isolation_level = None


def write(part: str) -> None:
    fairy = engine.raw_connection()
    print(repr(fairy.driver_connection.isolation_level), end=" ")
    fairy.driver_connection.execute("INSERT INTO parts VALUES (?)", (part,))
    fairy.close()
    other = sqlite3.connect("stock.db")
    print(other.execute("SELECT count(*) FROM parts").fetchone()[0])
    other.close()


with engine.begin() as connection:
    connection.exec_driver_sql("CREATE TABLE parts (name TEXT)")
write("bolt")
with engine.connect() as connection:
    connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("SELECT 1")
write("nut")
END

diff - seen <<'END'
None 1
'' 1
END

"""What the tests of the SQL adapter share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="needs the extra sql")

from databases import KINDS, Database, new_database


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Return a new database, of each kind in turn."""
    with new_database(request.param, tmp_path) as made:
        yield made

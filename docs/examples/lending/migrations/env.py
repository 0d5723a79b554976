"""The script that Alembic runs: the migrations, on the database that DOMAINKIT_DATABASE_URL names."""

import os

from alembic import context
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from docs.examples.lending.tables import METADATA

# the engine of SQLAlchemy, and no `make_engine`: that one checks foreign keys, also while a table is made anew
engine = create_engine(os.environ["DOMAINKIT_DATABASE_URL"], poolclass=NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=METADATA)
    with context.begin_transaction():
        context.run_migrations()

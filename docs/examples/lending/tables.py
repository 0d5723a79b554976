"""The tables: members and copies in separate columns, which the sorted list and the constraint need."""

from sqlalchemy import JSON, Column, Index, Integer, MetaData, Table, Text, UniqueConstraint, Uuid

from domainkit.adapters.sqlalchemy import inbox_table, outbox_table

METADATA = MetaData(
    naming_convention={  # a migration can change only what has a name
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(column_0_label)s",
    }
)
MEMBERS = Table(
    "members",
    METADATA,
    Column("id", Uuid(), primary_key=True),
    Column("version", Integer(), nullable=False),
    Column("name", Text(), nullable=False),
    Column("email", Text(), nullable=False),
    Column("loans", Integer(), nullable=False),
    UniqueConstraint("email"),  # called uq_members_email
)
COPIES = Table(
    "copies",
    METADATA,
    Column("id", Uuid(), primary_key=True),
    Column("version", Integer(), nullable=False),
    Column("title", Text(), nullable=False),
    Column("lent_to", Uuid()),
    Column("held_for", Uuid()),
    Column("reserved_by", JSON(), nullable=False),
    Index("ix_copies_title", "title", "id"),
)
OUTBOX, INBOX = outbox_table(METADATA), inbox_table(METADATA)

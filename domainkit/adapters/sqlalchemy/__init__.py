"""State and messages in a SQL database, by SQLAlchemy Core (extra `sql`; with PostgreSQL, extra `postgres`)."""

try:
    import sqlalchemy as _sqlalchemy  # noqa: F401  (checks that it is installed)
except ImportError as _error:
    from domainkit.adapters import missing_extra

    raise missing_extra(__name__, "sql") from _error

from domainkit.adapters.sqlalchemy.async_event_store import AsyncSqlEventStore
from domainkit.adapters.sqlalchemy.async_projector import AsyncProjector
from domainkit.adapters.sqlalchemy.async_repositories import AsyncSqlCrudRepository
from domainkit.adapters.sqlalchemy.async_unit_of_work import AsyncUnitOfWork
from domainkit.adapters.sqlalchemy.buses import (
    AsyncOutboxCommandBus,
    AsyncOutboxDomainEventBus,
    OutboxCommandBus,
    OutboxDomainEventBus,
)
from domainkit.adapters.sqlalchemy.checkpoints import AsyncCheckpoints, Checkpoints, checkpoints_table
from domainkit.adapters.sqlalchemy.children import Children, ChildTable, TablesMapper
from domainkit.adapters.sqlalchemy.constraints import refusing, refusing_async
from domainkit.adapters.sqlalchemy.engines import configure_engine, make_async_engine, make_engine
from domainkit.adapters.sqlalchemy.event_store import SqlEventStore
from domainkit.adapters.sqlalchemy.following import OnUnreadable
from domainkit.adapters.sqlalchemy.inbox import AsyncInbox, Inbox, MessageIdReusedError
from domainkit.adapters.sqlalchemy.mappers import RowMapper
from domainkit.adapters.sqlalchemy.missing import MissingTableError
from domainkit.adapters.sqlalchemy.outbox import Outbox
from domainkit.adapters.sqlalchemy.projector import Projector
from domainkit.adapters.sqlalchemy.read_models import FunctionReadModel, SqlReadModel, TableReadModel
from domainkit.adapters.sqlalchemy.rebuilding import Rebuilt
from domainkit.adapters.sqlalchemy.relay.operations import (
    OutboxStatus,
    ParkedMessage,
    discard_parked,
    outbox_status,
    release_parked,
    replay_sent,
)
from domainkit.adapters.sqlalchemy.relay.relay import Relay
from domainkit.adapters.sqlalchemy.relay.rounds import RelayRound
from domainkit.adapters.sqlalchemy.relay.waits import RelayBackoff
from domainkit.adapters.sqlalchemy.repositories import SqlCrudRepository
from domainkit.adapters.sqlalchemy.repository_read_models import RepositoryReadModel
from domainkit.adapters.sqlalchemy.rounds import Projected, ReadModelStatus
from domainkit.adapters.sqlalchemy.snapshots import AsyncSqlSnapshotStore, SqlSnapshotStore
from domainkit.adapters.sqlalchemy.tables import (
    aggregate_table,
    event_tags_table,
    events_table,
    inbox_table,
    outbox_table,
    snapshots_table,
)
from domainkit.adapters.sqlalchemy.unit_of_work import UnitOfWork
from domainkit.states import StoredStateError

__all__ = [
    "AsyncCheckpoints",
    "AsyncInbox",
    "AsyncOutboxCommandBus",
    "AsyncOutboxDomainEventBus",
    "AsyncProjector",
    "AsyncSqlCrudRepository",
    "AsyncSqlEventStore",
    "AsyncSqlSnapshotStore",
    "AsyncUnitOfWork",
    "Checkpoints",
    "ChildTable",
    "Children",
    "FunctionReadModel",
    "Inbox",
    "MessageIdReusedError",
    "MissingTableError",
    "OnUnreadable",
    "Outbox",
    "OutboxCommandBus",
    "OutboxDomainEventBus",
    "OutboxStatus",
    "ParkedMessage",
    "Projected",
    "Projector",
    "ReadModelStatus",
    "Rebuilt",
    "Relay",
    "RelayBackoff",
    "RelayRound",
    "RepositoryReadModel",
    "RowMapper",
    "SqlCrudRepository",
    "SqlEventStore",
    "SqlReadModel",
    "SqlSnapshotStore",
    "StoredStateError",
    "TableReadModel",
    "TablesMapper",
    "UnitOfWork",
    "aggregate_table",
    "checkpoints_table",
    "configure_engine",
    "discard_parked",
    "event_tags_table",
    "events_table",
    "inbox_table",
    "make_async_engine",
    "make_engine",
    "outbox_status",
    "outbox_table",
    "refusing",
    "refusing_async",
    "release_parked",
    "replay_sent",
    "snapshots_table",
]

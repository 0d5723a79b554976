"""From the outbox to the broker: the relay, and what an operator asks of an outbox."""

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
from domainkit.adapters.sqlalchemy.relay.waits import Backoff

__all__ = [
    "Backoff",
    "OutboxStatus",
    "ParkedMessage",
    "Relay",
    "RelayRound",
    "discard_parked",
    "outbox_status",
    "release_parked",
    "replay_sent",
]

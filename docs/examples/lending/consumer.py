"""The consumer: the reactions to events, which a relay sends from the outbox to RabbitMQ."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from domainkit import AsyncLoggingNotifier, AsyncMediator
from domainkit.adapters.rabbitmq import RabbitMqConsumer, RabbitMqTopology
from domainkit.adapters.sqlalchemy import AsyncInbox, AsyncOutboxCommandBus, make_async_engine

from .domain import CopyHeld, CopyReturned
from .repositories import SqlCopies, SqlMembers
from .tables import INBOX
from .use_cases import HoldForNext, Holding, HoldWhatComesBack, Letters
from .wiring import CODEC, of_this_library, unit_of_work_of


class Post(AsyncLoggingNotifier):
    """Writes letters to the log; replace it with a class that sends them."""


@asynccontextmanager
async def consumer(broker: str) -> AsyncGenerator[RabbitMqConsumer, None]:
    """Yield the consumer of a broker; database and exchange are read from the environment, as by the relay.

    The policy and the command's handler run once for each message, however often it is delivered. A letter may be
    written twice, since it isn't part of a transaction. Each command is checked before it is handled: a refused one
    changes nothing, and finally becomes a dead letter.
    """
    engine = make_async_engine(os.environ["DOMAINKIT_DATABASE_URL"])
    exchange = os.environ["DOMAINKIT_EXCHANGE"]
    unit_of_work = unit_of_work_of(engine)
    inbox, members = AsyncInbox(INBOX, unit_of_work), SqlMembers(unit_of_work)
    policy = inbox.once(HoldWhatComesBack(AsyncOutboxCommandBus(unit_of_work)), name="lending.policy")
    hold = inbox.once(Holding(SqlCopies(unit_of_work)), name="lending.hold")
    commands = AsyncMediator(HoldForNext.handled_by(hold)).checked_by(of_this_library)
    try:
        yield RabbitMqConsumer(
            broker,
            RabbitMqTopology(exchange, service=f"{exchange}.lending", delivery_limit=2),
            CODEC,
            subscribers={
                "policy": CopyReturned.handled_by(policy),
                "letters": CopyHeld.handled_by(Letters(members, Post())),
            },
            handlers=[HoldForNext.handled_by(commands.send)],
        )
    finally:
        await engine.dispose()

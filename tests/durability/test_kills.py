"""Nothing is lost, invented or done twice while processes and the broker are killed."""

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
from attrs import frozen
from brokers import RabbitMq, rabbitmq_of_its_own
from databases import Database, new_database
from durability import bank
from durability.processes import HERE, Process
from sizes import CI, FULL
from sqlalchemy import Engine, FromClause, func, select

from domainkit.adapters.rabbitmq import RabbitMqConsumer
from domainkit.adapters.sqlalchemy import SqlCrudRepository, UnitOfWork

COMMANDS, KILLS = (10_000, 100) if FULL else (3_000, 12) if CI else (2_000, 8)
SEED = int(os.environ.get("DOMAINKIT_KILLS_SEED", random.randrange(1_000_000)))
EXCHANGE = "bank"
PATIENCE = 120.0
"""Seconds without any progress after which the test is given up."""


@frozen
class Round:
    """The amount of work of one run: less on SQLite, where one process writes at a time, than on PostgreSQL."""

    database: str
    commands: int
    kills: int
    broker_kills: int


ROUNDS = (
    Round("postgresql", COMMANDS, KILLS, max(1, KILLS // 7)),
    Round("sqlite", COMMANDS // 5, max(4, KILLS // 5), max(1, KILLS // 20)),
)


class Bank:
    """The work that the processes have done so far, as the database has it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def effects(self) -> int:
        """Return how many effects there are."""
        return self._count(bank.EFFECTS)

    def committed(self) -> int:
        """Return how many events were stored."""
        return self._count(bank.OUTBOX_TABLE)

    def reached(self, due: int) -> bool:
        """Tell whether so many events were stored."""
        return self.committed() >= due

    def _count(self, table: FromClause) -> int:
        with self._engine.connect() as connection:
            return connection.execute(select(func.count()).select_from(table)).scalar_one()

    def open_accounts(self) -> None:
        """Make the tables and the accounts; those have recorded nothing."""
        bank.METADATA.create_all(self._engine)
        unit_of_work = UnitOfWork(self._engine)
        accounts = SqlCrudRepository[bank.Account, bank.AccountId](bank.Account, bank.ACCOUNT_TABLE, unit_of_work)
        for number in range(bank.ACCOUNTS):
            accounts.save(bank.Account(aggregate_id=bank.account_id(number))).unwrap()

    def rows(self) -> tuple[list[UUID], list[tuple[UUID, str, int]]]:
        """Return the ids of the events stored, and the effects in the order in which they were written."""
        effects = bank.EFFECTS.c
        with self._engine.connect() as connection:
            stored = connection.scalars(select(bank.OUTBOX_TABLE.c.message_id)).all()
            written = select(effects.event_id, effects.account, effects.sequence).order_by(effects.position)
            return list(stored), [tuple(row) for row in connection.execute(written)]


def wait_until(reached: Callable[[], bool], bank_: Bank, processes: list[Process]) -> None:
    """Return once it is so; tell what the processes printed where nothing goes on any more."""
    seen, since = -1, time.monotonic()
    while not reached():
        if (now := bank_.effects()) != seen:
            seen, since = now, time.monotonic()
        if any(one.exit_status for one in processes) or time.monotonic() > since + PATIENCE:
            pytest.fail("\n\n".join(f"{one.name}: status {one.exit_status}\n{one.output()}" for one in processes))
        time.sleep(0.02)


def targets(round_: Round, chance: random.Random) -> list[str]:
    """Return whom to kill, in which order: the broker a few times, the others alike."""
    others = ("writer", "relay", "consumer")
    count = round_.kills - round_.broker_kills
    chosen = ["broker"] * round_.broker_kills + [others[number % 3] for number in range(count)]
    chance.shuffle(chosen)
    return chosen


@pytest.mark.parametrize("round_", ROUNDS, ids=lambda round_: round_.database)
def test_nothing_is_lost_or_done_twice_while_all_are_killed(
    round_: Round, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command has one event and each event one effect, in the order of its aggregate, whoever is killed when."""
    chance, killed = random.Random(SEED), Counter[str]()
    with ExitStack() as stack:
        broker = stack.enter_context(rabbitmq_of_its_own(tmp_path))
        database = stack.enter_context(new_database(round_.database, tmp_path))
        state = Bank(stack.enter_context(database.engine()))
        state.open_accounts()
        running = start(stack, round_, database, broker, tmp_path)
        began = time.monotonic()
        for number, name in enumerate(targets(round_, chance)):
            due = round_.commands * number // (round_.kills + 1)
            wait_until(partial(state.reached, due), state, list(running.values()))
            time.sleep(chance.random() / 4)
            kill(name, broker, running)
            killed[name] += 1
        wait_until(lambda: state.effects() >= round_.commands, state, list(running.values()))
        took = time.monotonic() - began
        assert running["writer"].ended_well(30), running["writer"].output()
        for name in ("relay", "consumer"):
            assert running[name].stop(30) == 0, running[name].output()
        stored, written = state.rows()
    with capsys.disabled():
        done = ", ".join(f"{name} {count}" for name, count in sorted(killed.items()))
        print(  # noqa: T201  (a figure that says that something was done)
            f"\n{round_.database}: {len(stored)} commands committed, {len(written)} effects, "
            f"{killed.total()} kills ({done}), {took:.0f} s, seed {SEED}"
        )
    check(round_, stored, written)
    assert round_.kills == killed.total()
    assert {"broker", "writer", "relay", "consumer"} == set(killed)


def start(stack: ExitStack, round_: Round, database: Database, broker: RabbitMq, folder: Path) -> dict[str, Process]:
    """Start the processes, the consumer first: its queue must be there when the first event is published."""
    asyncio.run(declare(broker.url))
    broker.restart()
    url, async_url = (one.render_as_string(hide_password=False) for one in (database.url, database.async_url))
    relay = ("-m", "domainkit", "relay", "--poll", "0.1", "--lease", "3")
    commands = {
        "consumer": (str(HERE / "consumer.py"), async_url, broker.url, EXCHANGE),
        "relay": (*relay, "--database", url, "--broker", broker.url, "--exchange", EXCHANGE),
        "writer": (str(HERE / "writer.py"), url, str(round_.commands)),
    }
    return {
        name: stack.enter_context(Process(name, arguments, folder / f"{name}.log"))
        for name, arguments in commands.items()
    }


async def declare(url: str) -> None:
    """Make the queue of the consumer, which takes its time to start: what nobody waits for is refused."""
    nothing = bank.Deposited.handled_by(lambda _: None)
    async with RabbitMqConsumer(url, bank.topology(EXCHANGE), bank.CODEC, subscribers={"effects": nothing}):
        pass


def kill(name: str, broker: RabbitMq, running: dict[str, Process]) -> None:
    """Kill one of them with SIGKILL, and start it again."""
    if name == "broker":
        broker.kill()
        broker.start()
    else:
        running[name].kill()


def check(round_: Round, stored: list[UUID], written: list[tuple[UUID, str, int]]) -> None:
    """Compare what was committed with what came of it."""
    effects = [event for event, _, _ in written]
    assert round_.commands == len(stored), "each command was committed once"
    assert [] == list(set(stored) - set(effects)), "an event was committed and never delivered"
    assert [] == list(set(effects) - set(stored)), "an effect has no event: a phantom"
    assert round_.commands == len(effects), "an event had its effect twice"
    sequences = [[n for _, account, n in written if account == one] for one in sorted({a for _, a, _ in written})]
    assert [sorted(one) for one in sequences] == sequences, "the events of an account came out of order"

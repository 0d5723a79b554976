"""Fixtures of this folder: a broker that answers, or the reason why there isn't one."""

from collections.abc import AsyncIterator, Iterator

import pytest

pytest.importorskip("aio_pika", reason="needs the extra rabbitmq")

from brokers import RABBITMQ_URL, RabbitMq, answers, rabbitmq_of_its_own
from rabbits import Board
from yarl import URL


@pytest.fixture(scope="session")
def url() -> str:
    """Give the URL of the broker; skip where none answers there."""
    address = URL(RABBITMQ_URL)
    if not answers(address.host or "127.0.0.1", address.port or 5672):
        pytest.skip("no RabbitMQ answers at RABBITMQ_URL")
    return RABBITMQ_URL


@pytest.fixture
async def board(url: str) -> AsyncIterator[Board]:
    """Give names of the test's own on the broker."""
    async with Board(url) as made:
        yield made


@pytest.fixture(scope="session")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMq]:
    """Give a broker to kill, to stop, to start again; it runs again after each test."""
    with rabbitmq_of_its_own(tmp_path_factory.mktemp("rabbitmq")) as broker:
        yield broker

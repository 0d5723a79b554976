"""Dead letters that go back to their queues."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from aio_pika import Message
from aio_pika.abc import HeadersType
from brokers import free_port
from rabbits import Board
from returns.result import Success

from domainkit import BusCannotPublish
from domainkit.adapters.rabbitmq import PROBLEMS_HEADER, dead_letter_queue, redeliver


async def prepared(board: Board, *bodies: bytes, **arguments: Any) -> str:
    """Return the name of a queue that has dead letters."""
    queue = await board.queue(**arguments)
    dead = dead_letter_queue(queue)
    await board.channel.declare_queue(dead, durable=True, arguments={"x-queue-type": "quorum"})
    for body in bodies:
        headers: HeadersType = {"x-death": [{"reason": "delivery_limit"}], PROBLEMS_HEADER: ["missing $"], "key": "k"}
        message = Message(body, message_id="7", headers=headers)
        await board.channel.default_exchange.publish(message, dead)
    return queue


async def test_they_come_back_in_their_order(board: Board) -> None:
    """All are moved, the oldest first, with their ids and headers, without those of their death."""
    queue = await prepared(board, b"a", b"b", b"c")
    assert Success(3) == await redeliver(board.url, queue)
    found = await board.taken(queue, 3)
    assert [b"a", b"b", b"c"] == [one.body for one in found]
    assert ("7", "k") == (found[0].message_id, found[0].headers["key"])
    assert {"x-death", PROBLEMS_HEADER}.isdisjoint(found[0].headers)
    assert 0 == await board.count(dead_letter_queue(queue))


async def test_no_more_than_the_limit(board: Board) -> None:
    """The rest stays; nothing at all is fine."""
    queue = await prepared(board, b"a", b"b", b"c")
    assert Success(2) == await redeliver(board.url, queue, limit=2)
    await asyncio.sleep(0.2)
    assert (2, 1) == (await board.count(queue), await board.count(dead_letter_queue(queue)))
    assert Success(0) == await redeliver(board.url, queue, limit=0)
    assert Success(1) == await redeliver(board.url, queue)
    assert Success(0) == await redeliver(board.url, queue)


async def test_one_that_can_not_go_back_stays(board: Board) -> None:
    """If its queue is full, or gone, it is a Failure that says how many were moved, and no letter is lost."""
    queue = await prepared(board, b"a", b"b", b"c", b"d", b"e", max_length=1, overflow="reject-publish")
    error = (await redeliver(board.url, queue)).failure()
    assert isinstance(error, BusCannotPublish)
    assert "is full" in error.detail()
    assert error.additional_info is not None
    moved = error.additional_info["moved"]
    await asyncio.sleep(0.3)
    assert isinstance(moved, int)
    assert (moved, 5 - moved) == (await board.count(queue), await board.count(dead_letter_queue(queue)))
    assert 1 <= moved < 5
    await board.channel.queue_delete(queue, if_unused=False, if_empty=False)
    assert "doesn't exist" in (await redeliver(board.url, queue)).failure().detail()
    await asyncio.sleep(0.3)
    assert 5 - moved == await board.count(dead_letter_queue(queue))


async def test_it_ends_where_letters_die_again(board: Board) -> None:
    """It moves no more than there were when it began."""
    queue = await prepared(board, b"a", b"b", b"c")
    letters = dead_letter_queue(queue)

    over = asyncio.Event()

    async def die_again() -> None:
        while not over.is_set():
            message = await board.take(queue)
            if message is not None:
                await board.channel.default_exchange.publish(Message(message.body), letters)

    dying = asyncio.create_task(die_again())
    async with asyncio.timeout(20):
        assert Success(3) == await redeliver(board.url, queue)
    over.set()
    await dying


async def test_others_may_take_letters_meanwhile(board: Board) -> None:
    """If another process moves them too, it ends with its own share: each letter is moved once."""
    queue = await prepared(board, *(str(number).encode() for number in range(40)))
    results = await asyncio.gather(*(redeliver(board.url, queue) for _ in range(4)))
    assert 40 == sum(result.unwrap() for result in results)
    assert 40 == len({one.body for one in await board.taken(queue, 40)})


async def test_a_queue_without_dead_letters_of_its_own(board: Board) -> None:
    """It is a Failure that names the queue that isn't there."""
    error = (await redeliver(board.url, "nobody")).failure()
    assert "there is no queue 'nobody.dead_letters'" in str((error.additional_info or {})["message"])


async def test_without_a_broker() -> None:
    """It is a Failure, without the password."""
    error = (await redeliver(f"amqp://ada:hush@127.0.0.1:{free_port()}/", "queue")).failure()
    assert "127.0.0.1" in error.detail()
    assert "hush" not in error.detail()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"limit": -1}, "limit"),
        ({"within": timedelta(0)}, "within"),
        ({"url": "no"}, "amqp://"),
        ({"queue": "a#"}, "queue"),
    ],
)
async def test_options_that_are_none(options: dict[str, Any], named: str) -> None:
    """They are a ValueError that names the option."""
    with pytest.raises(ValueError, match=named):
        await redeliver(**{"url": "amqp://broker/", "queue": "queue", **options})

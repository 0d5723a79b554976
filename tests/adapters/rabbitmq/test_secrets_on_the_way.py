"""Secrets over RabbitMQ: the body has what a message asks for, and no header, log or status has more."""

import logging
from typing import Annotated

import pytest
from attrs import frozen
from hidden import HUSH, ByOwnRule, Key, KeyRefused, KeySent, shows
from rabbits import AT_ONCE, Board, until
from returns.result import Failure, Result, Success

from domainkit import DomainError, DomainEvent, InPlainText, MessageCodec, OutgoingMessage, use_case
from domainkit.adapters.rabbitmq import PROBLEMS_HEADER, RabbitMqConsumer, RabbitMqPublisher, dead_letter_queue

CODEC = MessageCodec(KeySent)


def refuse(event: KeySent) -> Result[None, DomainError]:
    """Answer with an error that holds the secret."""
    return Failure(KeyRefused(key=event.key))


def crash(event: KeySent) -> Result[None, DomainError]:
    """Raise an error that holds the secret."""
    raise KeyRefused(key=event.key)


@use_case
def crash_under_a_guard(event: KeySent) -> Result[None, DomainError]:
    """Let a secret be refused by a rule whose own error tells all."""
    ByOwnRule(event.key.reveal())
    return Success(None)


async def publish(board: Board, event: KeySent) -> None:
    """Publish an event, confirmed."""
    async with RabbitMqPublisher(board.url, board.topology, unrouted="none") as publisher:
        assert Success(None) == await publisher.publish(OutgoingMessage.of(event, CODEC))


@pytest.mark.parametrize("function", [refuse, crash, crash_under_a_guard])
@pytest.mark.parametrize("development", ["", "1"])
async def test_a_dead_letter_of_a_function_that_failed(
    board: Board, function: object, development: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its headers name classes; its body is the message as it came, which asked for the secret."""
    monkeypatch.setenv("DOMAINKIT_DEVELOPMENT", development)
    caplog.set_level(logging.DEBUG, logger="domainkit")
    queue = board.subscriber("greeter")
    subscribers = {"greeter": KeySent.handled_by(function)}  # type: ignore[call-overload]  # each is a function of it
    async with RabbitMqConsumer(board.url, board.topology, CODEC, subscribers=subscribers, backoff=AT_ONCE):
        await publish(board, KeySent(Key(HUSH)))
        (letter,) = await board.taken(dead_letter_queue(queue), 1)
    assert HUSH.encode() in letter.body
    assert letter.headers[PROBLEMS_HEADER]
    assert "domainkit" in caplog.text
    assert [] == shows(letter.headers, letter.properties.headers, letter.routing_key, caplog.text)


async def test_a_dead_letter_of_a_secret_that_is_refused(board: Board, caplog: pytest.LogCaptureFixture) -> None:
    """A consumer whose class refuses it by now buries the message, with the path and nothing that a rule said."""

    @frozen
    class Stricter(DomainEvent):
        key: Annotated[ByOwnRule, InPlainText]

        class Config:
            name = "key.sent"

    async def never(event: Stricter) -> None:
        raise AssertionError(event)

    caplog.set_level(logging.DEBUG, logger="domainkit")
    queue = board.subscriber("greeter")
    subscribers = {"greeter": Stricter.handled_by(never)}
    async with RabbitMqConsumer(board.url, board.topology, MessageCodec(Stricter), subscribers=subscribers) as consumer:

        async def consumes() -> bool:
            return consumer.is_consuming

        await until(consumes)
        await publish(board, KeySent(Key(HUSH)))
        (letter,) = await board.taken(dead_letter_queue(queue), 1)
    assert ["value $.data.attributes.key"] == letter.headers[PROBLEMS_HEADER]
    assert [] == shows(letter.headers, caplog.text)

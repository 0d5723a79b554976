"""Queries by tags, and conditions of appends: the states and errors are those of the parts."""

from collections.abc import Sequence
from typing import assert_type
from uuid import UUID

from attrs import frozen
from returns.result import Result, Success

from domainkit import (
    AppendCondition,
    Appended,
    AsyncEventStore,
    ConditionConflict,
    ConflictError,
    Decider,
    Decision,
    DomainError,
    DomainEvent,
    EventQuery,
    EventSourced,
    EventStore,
    InmemoryEventStore,
    MessageCodec,
    QueryItem,
    StreamClosed,
    UnreadableEvent,
    Uuid,
    projection,
    query,
    tags_of,
)


class AccountId(Uuid): ...


@frozen
class Opened(DomainEvent):
    account_id: AccountId


@frozen
class Deposited(DomainEvent):
    account_id: AccountId
    amount: int


@frozen
class Closed(DomainEvent):
    account_id: AccountId


account_id = AccountId.v4()
store = InmemoryEventStore(MessageCodec.of(Opened | Deposited | Closed))

# the query says which classes it finds
about = query().about(account_id, Uuid.v4())
assert_type(query(), EventQuery[DomainEvent])
assert_type(about, EventQuery[DomainEvent])
assert_type(about.of(Opened | Closed), EventQuery[Opened | Closed])
assert_type(about.of(Opened) | query().of(Closed), EventQuery[Opened | Closed])
assert_type(query().of(Opened).about(account_id), EventQuery[Opened])
wider: EventQuery[Opened | Closed] = about.of(Opened)
items: tuple[QueryItem, ...] = about.items

# the projection has a step for each of them, and may have more
is_open = projection(False).on(Opened, lambda _, event: True).on(Closed, lambda _, event: False)
of_all = is_open.on(Deposited, lambda state, event: state and event.amount > 0)
decision = store.decide(about.of(Opened | Closed), is_open)
assert_type(decision, Result[Decision[bool], UnreadableEvent])
assert_type(store.decide(about.of(Opened), is_open), Result[Decision[bool], UnreadableEvent])
assert_type(store.decide(about, of_all), Result[Decision[bool], UnreadableEvent])
assert_type(decision.unwrap().state, bool)
assert_type(decision.unwrap().condition, AppendCondition)

# an append under a condition
condition = AppendCondition(about, after=0)
assert_type(
    store.append([Opened(account_id)], condition),
    Result[Appended, ConditionConflict | StreamClosed],
)
assert_type(
    store.append([Opened(account_id)], condition, stream=account_id),
    Result[Appended, ConditionConflict | StreamClosed],
)
conflict: type[ConflictError] = ConditionConflict
assert_type(tags_of(Opened(account_id)), tuple[UUID, ...])


def through_the_port(events: EventStore[Opened | Deposited | Closed]) -> None:
    assert_type(events.decide(about.of(Opened | Closed), is_open), Result[Decision[bool], UnreadableEvent])
    assert_type(events.append([Opened(account_id)], condition), Result[Appended, ConditionConflict | StreamClosed])


async def through_the_async_port(events: AsyncEventStore[Opened | Deposited | Closed]) -> None:
    assert_type(await events.decide(about.of(Opened | Closed), is_open), Result[Decision[bool], UnreadableEvent])
    assert_type(
        await events.append([Opened(account_id)], condition), Result[Appended, ConditionConflict | StreamClosed]
    )


def decide(command: AccountId, state: bool) -> Result[Sequence[Opened], DomainError]:
    return Success([Opened(command)])


accounts = EventSourced(Decider(decide, lambda _, event: True, False), store, stream=lambda command: command)

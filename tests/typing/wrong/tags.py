"""Code that a type checker must refuse around queries and conditions: each line marked `# wrong`, and no other."""

from attrs import frozen

from domainkit import (
    AppendCondition,
    DomainEvent,
    InmemoryEventStore,
    MessageCodec,
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
class Closed(DomainEvent):
    account_id: AccountId


@frozen
class Foreign(DomainEvent):
    account_id: AccountId


account_id = AccountId.v4()
store = InmemoryEventStore(MessageCodec.of(Opened | Closed))
of_opened = projection(0).on(Opened, lambda total, _: total + 1)
of_both = of_opened.on(Closed, lambda total, _: total - 1)
both = query().about(account_id).of(Opened | Closed)
decision = store.decide(both, of_both).unwrap()

query().about(str(account_id))  # wrong: a text is no id
query().about(account_id.value)  # wrong: a bare UUID is no id
query().of(Opened | int)  # wrong: an int is no event
query().of(Opened) | account_id  # wrong: an id is no query
store.decide(both, of_opened)  # wrong: the projection has no step for one of the classes
store.decide(query().about(account_id), of_opened)  # wrong: nor for one of those that the store holds
store.append([Foreign(account_id)], decision.condition)  # wrong: another event
store.append([Opened(account_id)], decision)  # wrong: the decision is no condition
store.append(account_id, [Opened(account_id)], decision.condition)  # wrong: a stream and a condition
store.append([Opened(account_id)], decision.condition, expected=0)  # wrong: a condition and a revision
store.append([Opened(account_id)], expected=0)  # wrong: the stream is missing
decision.state.upper()  # wrong: the state is an int
AppendCondition(both)  # wrong: the position is missing
AppendCondition(both, after="0")  # wrong: a text is no position
tags_of(account_id)  # wrong: an id is no event

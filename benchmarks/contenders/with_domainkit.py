"""domainkit, as its users write it: frozen classes and a codec."""

from benchmarks.contenders import OURS, Contender
from benchmarks.contenders.domain import OrderPlaced, facts, order_placed
from domainkit import Message, MessageCodec

codec = MessageCodec(OrderPlaced)


def decode(raw: bytes) -> Message:
    """Return the event; `unwrap` is part of the price."""
    return codec.decode(raw).unwrap()


CONTENDER = Contender(
    name=OURS,
    note="MessageCodec: checks types, rules and limits when decoding; doesn't encode values that it could not read",
    construct=order_placed,
    encode=codec.encode,
    decode=decode,
    facts=facts,
)

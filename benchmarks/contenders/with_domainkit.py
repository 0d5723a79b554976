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
    note="MessageCodec: types, rules and limits are checked when decoding, what could not be read back when encoding",
    construct=order_placed,
    encode=codec.encode,
    decode=decode,
    facts=facts,
)

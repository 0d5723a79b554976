"""A user's own hooks together with the types of this library."""

from collections.abc import Mapping

from attrs import frozen

from domainkit import DomainEvent, MessageCodec, make_converter


class Money:
    """A class of somebody else."""

    def __init__(self, cents: int) -> None:
        self.cents = cents

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and self.cents == other.cents

    def __hash__(self) -> int:
        return hash(self.cents)


@frozen
class Paid(DomainEvent):
    price: Money
    note: str


class Text(str):
    """A text of another class, which the encoder itself doesn't write."""

    __slots__ = ()


@frozen
class Sheet:
    counts: Mapping[Money, int]
    either: Money | int | None = None


def test_a_hook_writes_in_the_second_pass_too() -> None:
    """A message that the first pass doesn't write, here for a text of another class, has hooks all the same."""
    converter = make_converter()
    converter.register_structure_hook(Money, lambda cents, _: Money(cents))
    converter.register_unstructure_hook(Money, lambda money: money.cents)
    codec = MessageCodec(Paid, converter=converter)
    event = Paid(Money(5), Text("x"))
    assert event == codec.decode(codec.encode(event)).unwrap()


def test_a_class_with_hooks_may_be_a_key_and_a_member() -> None:
    """A class that only its own hooks read may be the key of a mapping, and stand in a union that a hook reads too."""
    converter = make_converter()
    converter.register_structure_hook(Money, lambda cents, _: Money(int(cents)))
    converter.register_unstructure_hook(Money, lambda money: str(money.cents))
    converter.register_structure_hook(Money | int | None, lambda data, _: data)
    sheet = Sheet({Money(5): 1}, 7)
    assert {"counts": {"5": 1}, "either": 7} == converter.unstructure(sheet)
    assert sheet == converter.structure({"counts": {"5": 1}, "either": 7}, Sheet)

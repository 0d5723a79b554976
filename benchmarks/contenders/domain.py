"""The domain of the order, in domainkit's classes."""

from datetime import datetime
from decimal import Decimal

from attrs import field, frozen
from attrs.validators import ge, matches_re

from benchmarks.order import EMAIL_PATTERN, ORDER, Facts, LineFacts
from domainkit import DomainEvent, Uuid, ValueObject


class OrderId(Uuid):
    """The id of an order."""


class CustomerId(Uuid):
    """The id of a customer."""


@frozen
class Email(ValueObject[str]):
    """An e-mail address."""

    value: str = field(validator=matches_re(EMAIL_PATTERN))


class Sku(ValueObject[str]):
    """The name of an article in the shop."""


@frozen
class Quantity(ValueObject[int]):
    """A number of articles, at least one."""

    value: int = field(validator=ge(1))


class Price(ValueObject[Decimal]):
    """The price of one."""


@frozen
class OrderLine:
    """One article of an order."""

    sku: Sku
    quantity: Quantity
    price: Price


@frozen
class OrderPlaced(DomainEvent):
    """Somebody placed an order."""

    order_id: OrderId
    customer_id: CustomerId
    email: Email
    lines: tuple[OrderLine, ...]
    placed_at: datetime


def order_placed(lines: tuple[LineFacts, ...] = ORDER.lines) -> OrderPlaced:
    """Return the event of the order, with these lines."""
    return OrderPlaced(
        OrderId(ORDER.order_id),
        CustomerId(ORDER.customer_id),
        Email(ORDER.email),
        tuple([OrderLine(Sku(sku), Quantity(quantity), Price(price)) for sku, quantity, price in lines]),
        ORDER.placed_at,
    )


def facts(event: OrderPlaced) -> Facts:
    """Return what the event says."""
    return Facts(
        event.order_id.value,
        event.customer_id.value,
        event.email.value,
        tuple((line.sku.value, line.quantity.value, line.price.value) for line in event.lines),
        event.placed_at,
    )

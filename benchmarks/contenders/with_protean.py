"""protean: a domain with an aggregate, value objects and an event, through protean's own Message."""

import json
import warnings
from typing import Any
from uuid import UUID

from protean import Domain, fields
from protean.fields.validators import RegexValidator
from protean.utils.eventing import Message

from benchmarks.contenders import Contender
from benchmarks.order import EMAIL_PATTERN, ORDER, Facts

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it finds no configuration file, and takes its defaults
    domain = Domain(name="Shop")


@domain.value_object
class Email:
    """An e-mail address."""

    address = fields.String(required=True, validators=[RegexValidator(f"^{EMAIL_PATTERN}$")])


@domain.value_object
class OrderLine:
    """One article of an order. protean's value objects of one field each nest no further, so the rules stand here."""

    sku = fields.String(required=True)
    quantity = fields.Integer(required=True, min_value=1)
    price = fields.Decimal(required=True)


@domain.aggregate
class Order:
    """The order: an event belongs to an aggregate."""

    order_id = fields.Identifier(identifier=True)


@domain.event(part_of=Order)
class OrderPlaced:
    """Somebody placed an order."""

    order_id = fields.Identifier(required=True, identifier=True)
    customer_id = fields.Identifier(required=True)
    email = fields.ValueObject(Email, required=True)
    lines = fields.List(content_type=fields.ValueObject(OrderLine), required=True)
    placed_at = fields.DateTime(required=True)


domain.init(traverse=False)
domain.domain_context().push()

_event: Any = OrderPlaced  # protean's decorators make classes whose constructors a type checker doesn't see
_line: Any = OrderLine
_email: Any = Email


def construct() -> Any:
    """Return the event of the order."""
    return _event(
        order_id=str(ORDER.order_id),
        customer_id=str(ORDER.customer_id),
        email=_email(address=ORDER.email),
        lines=[_line(sku=sku, quantity=quantity, price=price) for sku, quantity, price in ORDER.lines],
        placed_at=ORDER.placed_at,
    )


def encode(event: Any) -> bytes:
    """Return the JSON of the event's message."""
    return json.dumps(Message.from_domain_object(event).to_dict(), separators=(",", ":")).encode()


def decode(raw: bytes) -> Any:
    """Return the event that the JSON holds."""
    return Message.deserialize(json.loads(raw)).to_domain_object()


def facts(event: Any) -> Facts:
    """Return what the event says."""
    return Facts(
        UUID(event.order_id),
        UUID(event.customer_id),
        event.email.address,
        tuple((line.sku, line.quantity, line.price) for line in event.lines),
        event.placed_at,
    )


CONTENDER = Contender(
    name="protean",
    note="Message.from_domain_object and to_domain_object with its checksum; ids are text, a line is one value object;"
    " types are coerced",
    construct=construct,
    encode=encode,
    decode=decode,
    facts=facts,
    own_envelope=True,
)

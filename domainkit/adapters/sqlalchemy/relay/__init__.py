"""From the outbox to the broker: the relay, and what an operator asks of an outbox."""

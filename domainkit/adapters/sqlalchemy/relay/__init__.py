"""Relay from the outbox to the broker, and the operations of an outbox."""

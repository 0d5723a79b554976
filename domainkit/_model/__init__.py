"""Internals of model classes: annotations, type checks, immutability, constructors, other libraries' internals."""

"""The making of model classes: annotations, type checks, immutability, constructors, parts of other libraries."""

"""How model classes are made: annotations, type checks, immutability, constructors, parts of other libraries."""

"""The compiled part, in C, and the fallback in Python."""

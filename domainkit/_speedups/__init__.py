"""The part in C, where it was compiled, and what does the same in Python."""

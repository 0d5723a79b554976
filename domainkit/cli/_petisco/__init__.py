"""The rewriting of code that uses petisco and meiga: a file for each family of their classes."""

"""Rewriting of code that uses petisco and meiga, with a file for each family of their classes."""

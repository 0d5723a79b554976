"""Domain objects to builtins and JSON, and back."""

from domainkit.conversion._converters import ValueObjectSerializer, configure_converter, make_converter

__all__ = ["ValueObjectSerializer", "configure_converter", "make_converter"]

import petisco
from pydantic import field_validator


class Email(petisco.ValueObject):
    value: str

    @field_validator("value")
    @classmethod
    def validate_value(cls, value: str) -> str:
        """An address has an at."""
        if "@" not in value:
            raise petisco.InvalidValueObject()
        return value

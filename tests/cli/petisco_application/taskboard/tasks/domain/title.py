from petisco import ValueObject
from pydantic import field_validator


class Title(ValueObject):
    value: str

    @field_validator("value")
    def validate_value(cls, value: str) -> str:
        return value.strip()

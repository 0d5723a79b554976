from petisco import InvalidValueObject, ValueObject
from pydantic import field_validator

LONGEST = 40


class Name(ValueObject):
    """The name of a user, as others see it."""

    value: str

    @field_validator("value")
    def validate_value(cls, value: str) -> str:
        if not value:
            raise InvalidValueObject(additional_info={"message": f"{cls.__name__} is empty"})
        if len(value) > LONGEST:  # it has to fit on a card
            raise InvalidValueObject(additional_info={"message": f"{cls.__name__} is too long"})
        return value

    def initial(self) -> str:
        return self.value[0]

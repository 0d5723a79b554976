from petisco import ValueObject


class Priority(ValueObject):
    value: int = 3

    def is_urgent(self) -> bool:
        return self.value < 2

"""The rules of a class of several fields: each that is broken is found, with the field that has it."""

from datetime import date

from attrs import field, frozen
from attrs.validators import ge, max_len, min_len

from domainkit import parse
from domainkit._model.rules import broken_rules


def upper(text: str) -> str:
    """Return the text in upper case."""
    return text.upper()


@frozen
class Money:
    amount: int = field(validator=ge(0))
    currency: str = field(default="EUR", validator=[min_len(3), max_len(3)])


@frozen
class DateRange:
    start: date
    end: date = field()

    @end.validator
    def _check(self, _: object, end: date) -> None:
        if end < self.start:
            raise ValueError("a range ends after it starts")


@frozen
class Shouted:
    text: str = field(converter=upper, validator=min_len(2))


class TestBrokenRules:
    def test_one_for_each_field(self) -> None:
        """A field is listed once, with the first error of its validators."""
        broken = [(field.name, str(error)) for field, error in broken_rules(Money, {"amount": -1, "currency": "EURO"})]
        assert [("amount", "'amount' must be >= 0: -1"), ("currency", "Length of 'currency' must be <= 3: 4")] == broken
        assert [] == list(broken_rules(Money, {"amount": 1}))

    def test_a_field_that_is_not_there(self) -> None:
        """A validator that looks at a field without a value says nothing."""
        assert [] == list(broken_rules(DateRange, {"end": date(2021, 12, 27)}))
        day, before = date(2021, 12, 28), date(2021, 12, 27)
        assert ["end"] == [field.name for field, _ in broken_rules(DateRange, {"start": day, "end": before})]

    def test_a_class_that_changes_its_values(self) -> None:
        """The outcome of a converter is known to the constructor alone."""
        assert [] == list(broken_rules(Shouted, {"text": "a"}))


def paths(cls: type, raw: object) -> list[str]:
    """Return the path of each problem."""
    return [problem.path for problem in parse(cls, raw).failure().problems]


class TestPaths:
    def test_every_rule(self) -> None:
        """Each broken rule is a problem of its field, beside those of fields of a wrong type."""
        assert ["$.amount", "$.currency"] == paths(Money, {"amount": -1, "currency": "EURO"})
        assert ["$.currency", "$.amount"] == paths(Money, {"amount": -1, "currency": 5})
        assert ["$.end"] == paths(DateRange, {"start": "2021-12-28", "end": "2021-12-27"})
        assert ["$.start"] == paths(DateRange, {"end": "2021-12-27"})
        assert ["$"] == paths(Shouted, {"text": "a"})

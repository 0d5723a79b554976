"""Messages under a clock that a test library has set: it puts classes of its own in the place of datetime and date."""

import datetime as dt
import subprocess
import sys
from datetime import UTC, date, datetime
from typing import Annotated, Any

from attrs import frozen
from every_kind import EveryKind, Maker, Plain
from freezegun import freeze_time
from holders import rewritten
from typing_extensions import TypeAliasType

from domainkit import DomainEvent, MessageCodec, MessageHeader, NaiveAsUtc, make_converter
from domainkit._model.annotations import type_of, unaliased

INSTANT = "2021-12-28 14:11:47.845618"


@frozen
class Dated(DomainEvent):
    moment: datetime
    day: date


class Moment(datetime): ...


def test_messages_of_a_set_clock_come_back() -> None:
    """Messages written before are read, and those made under the clock are written and read."""
    before = Maker(1).message()
    raw = before.json()
    with freeze_time(INSTANT):
        assert before == EveryKind.from_json(raw) == EveryKind.from_dict(before.dict())
        assert raw == before.json()
        event = Dated(dt.datetime.now(UTC), dt.date.today())  # noqa: DTZ011  (under the clock)
        codec = MessageCodec(Dated)
        assert event == codec.decode(codec.encode(event)).unwrap()
        assert INSTANT == event.dict()["data"]["occurred_on"]
    assert event == Dated.from_json(event.json())
    assert (datetime, date) == (type(Dated.from_json(event.json()).moment), type(Dated.from_json(event.json()).day))


def test_converters_under_a_set_clock() -> None:
    """A converter that is made or used under the clock takes its classes for the standard ones."""
    with freeze_time(INSTANT):
        converter = make_converter()
        now: Any = dt.datetime.now(UTC)
        assert "2021-12-28T14:11:47.845618Z" == converter.unstructure(now)
        assert now == converter.structure("2021-12-28T14:11:47.845618Z", dt.datetime)
        assert now == converter.structure("2021-12-28T14:11:47.845618Z", datetime)
        assert now.date() == converter.structure("2021-12-28", dt.date)


def test_an_instant_of_any_class_is_a_moment() -> None:
    """A header takes an instance of a subclass of datetime, and writes it as any other."""
    event = Plain("a", header=MessageHeader(occurred_on=Moment(2021, 12, 28, 14, 11, 47, 845618, UTC)))
    assert INSTANT == event.dict()["data"]["occurred_on"]
    assert event == Plain.from_json(event.json())
    whole = Plain("a", header=MessageHeader(occurred_on=Moment(2021, 12, 28, tzinfo=UTC)))
    assert "2021-12-28 00:00:00.000000" == whole.dict()["data"]["occurred_on"]
    assert "2021-12-28T00:00:00Z" == rewritten(Moment(2021, 12, 28, tzinfo=UTC), datetime)


@frozen
class Postponed(DomainEvent):
    at: "datetime"
    days: "tuple[date, ...] | None" = None


def test_annotations_that_are_read_under_a_set_clock() -> None:
    """Annotations that are text mean datetime and date there too, whatever comes first, and so do aliases."""
    with freeze_time(INSTANT):
        event = Postponed(dt.datetime.now(UTC), (dt.date.today(),))  # noqa: DTZ011  (under the clock)
        assert event == Postponed.from_json(event.json())
        found = [type_of(Postponed, "at"), type_of(Postponed, "days")]

        class Inside(DomainEvent):
            at: datetime

        found += [type_of(Inside, "at"), unaliased(TypeAliasType("Now", datetime))]
    assert [datetime, tuple[date, ...] | None, datetime, datetime] == found
    assert event == Postponed.from_json(event.json())


def test_a_naive_moment_is_known_under_a_set_clock() -> None:
    """A field that reads naive times as UTC is derived as ever, though the clock has another class of datetimes."""

    @frozen
    class Noted(DomainEvent):
        at: Annotated[datetime, NaiveAsUtc]

    with freeze_time(INSTANT):
        event = Noted(dt.datetime.now(UTC))
        naive = event.json().replace("47.845618Z", "47.845618")
        assert event == Noted.from_json(naive)


def test_late_imports_under_a_set_clock() -> None:
    """Modules imported only under the clock work all the same, and a CloudEvent has a time."""
    script = """
from freezegun import freeze_time
import domainkit
with freeze_time("2021-12-28 14:11:47.845618"):
    from domainkit.formats import CloudEventCodec
    names = [getattr(domainkit, name) for name in domainkit.__all__]
    codec = domainkit.MessageCodec(domainkit.DomainEvent)
    event = domainkit.DomainEvent()
    cloud = CloudEventCodec(codec, "/tests")
    assert event == cloud.decode(cloud.encode(event)).unwrap()
    print("well")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (0, "well\n") == (done.returncode, done.stdout), done.stderr

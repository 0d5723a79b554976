"""Small sample model for tests of adapters: an aggregate with fields of most types, an event and a command."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from attrs import field, frozen
from attrs.validators import min_len

from domainkit.aggregates import AggregateRoot
from domainkit.messages import Command, DomainEvent
from domainkit.values import Uuid, ValueObject


class SampleTaskId(Uuid):
    """Id of a SampleTask."""


@frozen
class SampleTitle(ValueObject[str]):
    """Title of a SampleTask: a non-empty text."""

    value: str = field(validator=min_len(1))


@frozen
class SampleTaskCreated(DomainEvent):
    """Event with a payload."""

    task_id: SampleTaskId
    title: SampleTitle = SampleTitle("Buy milk")


@frozen
class SampleCreateTask(Command):
    """Command with a payload."""

    task_id: SampleTaskId
    title: SampleTitle = SampleTitle("Buy milk")


class SampleStudentId(Uuid):
    """Id of a student."""


class SampleCourseId(Uuid):
    """Id of a course."""


@frozen
class SampleSubscribed(DomainEvent):
    """Event with two tags: a student subscribed to a course."""

    student_id: SampleStudentId
    course_id: SampleCourseId


@frozen
class SampleUnsubscribed(DomainEvent):
    """Event with the same two tags."""

    student_id: SampleStudentId
    course_id: SampleCourseId


@frozen
class SampleTask(AggregateRoot[SampleTaskId]):
    """Aggregate with fields of most types: if it comes back equal, so does yours."""

    title: SampleTitle
    due: datetime | None = None
    done: bool = False
    reward: Decimal = Decimal(0)
    effort: timedelta = timedelta(hours=1)
    steps: tuple[SampleTitle, ...] = ()
    links: Mapping[str, str] = field(factory=dict)

    @classmethod
    def create(cls, title: str) -> "SampleTask":
        """Return a task that has recorded its SampleTaskCreated."""
        task = cls(
            SampleTitle(title),
            due=datetime(2031, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC),
            reward=Decimal("12.50"),
            steps=(SampleTitle("Find the shop"), SampleTitle("Paÿ 🥛")),
            links={"shop": "https://example.com/?q=milk"},
        )
        return task.record(SampleTaskCreated(task.aggregate_id, task.title))

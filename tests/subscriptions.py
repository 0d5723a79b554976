"""Events about students and courses, for stores with tags."""

from typing import TypeAlias

from domainkit import AppendCondition, MessageCodec, projection, query
from domainkit.testing import SampleCourseId, SampleStudentId, SampleSubscribed, SampleUnsubscribed

SampleEvent: TypeAlias = SampleSubscribed | SampleUnsubscribed
SAMPLES = MessageCodec.of(SampleSubscribed | SampleUnsubscribed)
COUNT = projection(0).on(SampleSubscribed, lambda n, _: n + 1).on(SampleUnsubscribed, lambda n, _: n - 1)


def student() -> SampleStudentId:
    """Return a new id."""
    return SampleStudentId.v4()


def course() -> SampleCourseId:
    """Return a new id."""
    return SampleCourseId.v4()


def subscribed(who: SampleStudentId | None = None, what: SampleCourseId | None = None) -> SampleSubscribed:
    """Return an event about these, or about a student and a course that nobody else knows."""
    return SampleSubscribed(who or student(), what or course())


def nothing_about(who: SampleStudentId) -> AppendCondition:
    """Return the condition that there is no event about a student."""
    return AppendCondition(query().about(who), after=0)

"""A process that appends under conditions: in each race one event, unless another process was faster."""

import os
import sys
from typing import Final, TypeAlias
from uuid import NAMESPACE_OID, uuid5

from returns.result import Success
from sqlalchemy import MetaData

from domainkit import AppendCondition, EventQuery, MessageCodec, query
from domainkit.adapters.sqlalchemy import SqlEventStore, UnitOfWork, event_tags_table, events_table, make_engine
from domainkit.testing import SampleCourseId, SampleStudentId, SampleSubscribed

DATABASE: Final = "DECIDING_DATABASE"
"""The environment variable with the URL of the database."""
PROCESSES: Final = 4
WON, LOST = "won", "lost"

METADATA = MetaData()
EVENTS, TAGS = events_table(METADATA), event_tags_table(METADATA)
CODEC: MessageCodec[SampleSubscribed] = MessageCodec.of(SampleSubscribed)

Store: TypeAlias = SqlEventStore[SampleSubscribed]


def make_store(unit_of_work: UnitOfWork) -> Store:
    """Return the store of all processes."""
    return SqlEventStore(unit_of_work, EVENTS, CODEC, tags=TAGS)


def course_of(race: int) -> SampleCourseId:
    """Return the course of a race."""
    return SampleCourseId.from_uuid(uuid5(NAMESPACE_OID, f"course {race}"))


def student_of(race: int, process: int) -> SampleStudentId:
    """Return the student of a process in a race."""
    return SampleStudentId.from_uuid(uuid5(NAMESPACE_OID, f"student {race} {process}"))


def all_of(race: int) -> EventQuery:
    """Return a query for the events of a race: about its course, or about one of its students.

    In every other race each process writes about a course that nobody else knows: they have no tag in common but those
    that they guard.
    """
    if race % 2 == 0:
        return query().about(course_of(race))
    found = query().about(student_of(race, 0))
    for process in range(1, PROCESSES):
        found = found | query().about(student_of(race, process))
    return found


def decide(store: Store, race: int, process: int) -> str:
    """Append one event on the condition that nobody else has."""
    course = course_of(race) if race % 2 == 0 else SampleCourseId.v4()
    event = SampleSubscribed(student_of(race, process), course)
    stored = store.append([event], AppendCondition(all_of(race), after=0))
    return WON if isinstance(stored, Success) else LOST


def main(process: int) -> None:
    """Run each race whose number is on a line of the standard input, and write the outcome."""
    store = make_store(UnitOfWork(make_engine(os.environ[DATABASE])))
    tell("ready")
    for line in sys.stdin:
        tell(decide(store, int(line), process))


def tell(what: str) -> None:
    """Write a line to the standard output."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))

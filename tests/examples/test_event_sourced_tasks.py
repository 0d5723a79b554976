"""The Task Manager over events: its decider, and the list of tasks."""

from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest
from returns.result import Success

for needed in ("sqlalchemy", "aiosqlite"):
    pytest.importorskip(needed, reason=f"{needed} isn't installed: the example needs the extra sql")

from databases import new_database  # noqa: E402  # after it is known to be there
from sqlalchemy import update  # noqa: E402  # as above

from docs.examples.task_manager.domain import DueInThePast, DuplicateTask, Label, TaskCreated, TaskId, Title  # noqa: E402
from docs.examples.task_manager.event_sourced import (  # noqa: E402  # as above
    EVENTS,
    TASK,
    EventSourcedTaskManager,
    created,
    event_sourced_task_manager,
)
from docs.examples.task_manager.use_cases import CreateTask  # noqa: E402  # as above
from domainkit import MessageCodec, UnreadableEvent  # noqa: E402  # as above
from domainkit.testing import check_decider, given  # noqa: E402  # as above

TASK_ID = TaskId.v4()
COMMAND = CreateTask(TASK_ID, Title("Buy milk"), date(9999, 3, 1), (Label("home"),))
CREATED = TaskCreated(TASK_ID, Title("Buy milk"), date(9999, 3, 1), (Label("home"),))


def test_a_task_is_created_once() -> None:
    """A command makes a task of its own words; a second one with this id is refused."""
    given(TASK).when(COMMAND).then_events(CREATED)
    given(TASK, CREATED).when(COMMAND).then_failure(DuplicateTask)
    assert created(CREATED) == TASK.fold([CREATED])


def test_a_day_that_is_over_is_refused() -> None:
    """Also if there is such a task: the day is checked first."""
    late = CreateTask(TASK_ID, Title("Buy milk"), date(2000, 1, 1))
    given(TASK).when(late).then_failure(DueInThePast)
    given(TASK, CREATED).when(late).then_failure(DueInThePast)


def test_it_is_a_decider() -> None:
    """It keeps the laws of deciders."""
    check_decider(TASK, [COMMAND, COMMAND], MessageCodec.of(TaskCreated))


@pytest.fixture
async def program(tmp_path: Path) -> AsyncIterator[EventSourcedTaskManager]:
    """Return the program over a new database."""
    with new_database("sqlite", tmp_path) as database:
        async with event_sourced_task_manager(database.async_url) as opened:
            yield opened


async def test_the_list_is_that_of_the_events(program: EventSourcedTaskManager) -> None:
    """Each task that was created, in order."""
    assert Success(()) == await program.tasks.retrieve_all()
    stored = (await program.handle(COMMAND.json().encode())).unwrap()
    assert Success((stored,)) == await program.tasks.retrieve_all()


async def test_a_list_with_an_unreadable_event_is_a_failure(program: EventSourcedTaskManager) -> None:
    """A list without a task that there is would be wrong."""
    (await program.handle(COMMAND.json().encode())).unwrap()
    async with program.engine.begin() as connection:
        await connection.execute(update(EVENTS).values(body=b"{}"))
    assert isinstance((await program.tasks.retrieve_all()).failure(), UnreadableEvent)

"""The interface of the program for `main` and the delivery, the same on rows and on events."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from returns.result import Result
from sqlalchemy.ext.asyncio import AsyncEngine

from domainkit import DomainError
from domainkit.adapters.sqlalchemy import AsyncSqlCrudRepository

from .domain import Reminder, Task, TaskCreated


class Tasks(Protocol):
    """The stored tasks."""

    async def retrieve_all(self) -> Result[tuple[Task, ...], DomainError]:
        """Return all tasks, in the order in which they were created."""
        raise NotImplementedError


class Program(Protocol):
    """A Task Manager on one database: `handle` takes commands, `remind` takes events; each call is one transaction."""

    @property
    def engine(self) -> AsyncEngine:
        """The database."""
        raise NotImplementedError

    @property
    def tasks(self) -> Tasks:
        """The stored tasks."""
        raise NotImplementedError

    @property
    def reminders(self) -> AsyncSqlCrudRepository[Reminder]:
        """The stored reminders."""
        raise NotImplementedError

    @property
    def handle(self) -> Callable[[bytes], Awaitable[Result[Task | None, DomainError]]]:
        """Handles a command, given as JSON."""
        raise NotImplementedError

    @property
    def remind(self) -> Callable[[TaskCreated], Awaitable[Result[None, DomainError]]]:
        """Handles an event."""
        raise NotImplementedError

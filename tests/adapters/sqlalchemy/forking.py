"""A program that saves a task, forks, and saves tasks in both processes; it waits for a line after each."""

import os
import sys
import warnings

from databases import OUTBOX, TASKS

from domainkit.adapters.sqlalchemy import SqlCrudRepository, UnitOfWork, make_engine
from domainkit.testing import SampleTask, SampleTaskId


def save(who: str) -> None:
    """Save a task, say so, and wait for a line."""
    tasks.save(SampleTask.create(who)).unwrap()
    sys.stdout.write(f"{who}\n")
    sys.stdout.flush()
    sys.stdin.readline()


if __name__ == "__main__":
    engine = make_engine(sys.argv[1])
    tasks = SqlCrudRepository[SampleTask, SampleTaskId](SampleTask, TASKS, UnitOfWork(engine, outbox=OUTBOX))
    save("the parent")
    warnings.simplefilter("ignore", DeprecationWarning)  # from CPython 3.12 on: of forks of processes with threads
    child = os.fork()
    if child == 0:
        save("the child")
        os._exit(0)
    os.waitpid(child, 0)
    save("the parent again")

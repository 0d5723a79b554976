"""A program that saves a task, and ends at once."""

import sys

from databases import OUTBOX, TASKS

from domainkit.adapters.sqlalchemy import SqlCrudRepository, UnitOfWork, make_engine
from domainkit.testing import SampleTask, SampleTaskId

if __name__ == "__main__":
    unit_of_work = UnitOfWork(make_engine(sys.argv[1]), outbox=OUTBOX)
    SqlCrudRepository[SampleTask, SampleTaskId](SampleTask, TASKS, unit_of_work).save(SampleTask.create("x")).unwrap()

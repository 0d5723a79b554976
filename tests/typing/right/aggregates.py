"""Aggregates: typed ids, recorded events, and copies that keep their class."""

from typing import assert_type

from attrs import evolve

from domainkit import AggregateRoot, DomainEvent, Uuid

from board import Setting, Task, TaskCreated, TaskId, TaskRenamed, Title, UserId

task = Task.create(Title("Buy milk"))
assert_type(task.aggregate_id, TaskId)
assert_type(task.aggregate_version, int)
assert_type(task.owner, UserId | None)
assert_type(task.domain_events, tuple[DomainEvent, ...])
assert_type(task.record(TaskRenamed(task.aggregate_id), TaskCreated(task.aggregate_id, task.title)), Task)
assert_type(task.clear_domain_events(), Task)
events, clean = task.pull_domain_events()
assert_type(events, tuple[DomainEvent, ...])
assert_type(clean, Task)
assert_type(evolve(task, title=Title("Buy bread"), owner=UserId.v4()), Task)
assert_type(Task(Title("Buy milk"), aggregate_id=TaskId.v4(), aggregate_version=3), Task)

setting = Setting("colour")
assert_type(setting.aggregate_id, Uuid)
assert_type(setting.pull_domain_events()[1], Setting)


def version_of(aggregate: AggregateRoot[TaskId]) -> int:
    return aggregate.aggregate_version


assert_type(version_of(task), int)

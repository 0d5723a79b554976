from typing import Any, List

from petisco import Application, Builder, Dependency, Notifier, NotImplementedNotifier

from taskboard.tasks.domain.task_repository import TaskRepository
from taskboard.tasks.infrastructure.inmemory_task_repository import InmemoryTaskRepository
from taskboard.users.domain.user_repository import UserRepository
from taskboard.users.infrastructure.inmemory_user_repository import InmemoryUserRepository


def dependencies() -> List[Dependency[Any]]:
    return [
        Dependency(UserRepository, builders={"default": Builder(InmemoryUserRepository)}),
        Dependency(TaskRepository, builders={"default": Builder(InmemoryTaskRepository)}),
        Dependency(Notifier, builders={"default": Builder(NotImplementedNotifier)}),
    ]


def application() -> Application:
    return Application(name="taskboard", version="1.0.0", organization="acme", dependencies_provider=dependencies)

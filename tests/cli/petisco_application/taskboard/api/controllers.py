from typing import Any

from meiga import BoolResult
from petisco import Controller, NotImplementedDomainEventBus

from taskboard.api.error_map import ERROR_MAP
from taskboard.shared.ids import UserId
from taskboard.users.application.user_creator import UserCreator
from taskboard.users.domain.email import Email
from taskboard.users.domain.name import Name
from taskboard.users.infrastructure.inmemory_user_repository import InmemoryUserRepository


class UserController(Controller):
    class Config:
        error_map = ERROR_MAP
        success_handler = lambda result: {"message": "created"}  # noqa: E731

    def execute(self, user_id: str, name: str, email: str) -> Any:
        creator = UserCreator(InmemoryUserRepository(), NotImplementedDomainEventBus())
        result: BoolResult = creator.execute(UserId(user_id), Name(name), Email(email))
        return result

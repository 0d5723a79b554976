from meiga import Error, Failure, Result, Success
from petisco import AppService

from taskboard.shared.ids import UserId
from taskboard.users.domain.errors import UserBlocked
from taskboard.users.domain.user import User
from taskboard.users.domain.user_repository import UserRepository


class UserFinder(AppService):
    """A user who may do something."""

    def __init__(self, repository: UserRepository) -> None:
        self.repository = repository

    def execute(self, user_id: UserId) -> Result[User, Error]:
        user = self.repository.retrieve(user_id).unwrap_or_return()
        if user.blocked:
            return Failure(UserBlocked(uuid_value=user_id.value))
        return Success(user)

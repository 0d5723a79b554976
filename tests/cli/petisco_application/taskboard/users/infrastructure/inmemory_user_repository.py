from meiga import Error, Failure, Result, Success
from petisco import InmemoryCrudRepository, UserNotFound

from taskboard.users.domain.email import Email
from taskboard.users.domain.user import User
from taskboard.users.domain.user_repository import UserRepository


class InmemoryUserRepository(InmemoryCrudRepository[User], UserRepository):
    def retrieve_by_email(self, email: Email) -> Result[User, Error]:
        for user in self.retrieve_all().unwrap_or([]):
            if user.email == email:
                return Success(user)
        return Failure(UserNotFound(additional_info={"message": "no user has this address"}))

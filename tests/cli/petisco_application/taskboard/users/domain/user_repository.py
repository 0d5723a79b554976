from abc import abstractmethod

from meiga import Error, NotImplementedMethodError, Result
from petisco import CrudRepository

from taskboard.users.domain.email import Email
from taskboard.users.domain.user import User


class UserRepository(CrudRepository[User]):
    """Users, and one question more than every repository answers."""

    @abstractmethod
    def retrieve_by_email(self, email: Email) -> Result[User, Error]:
        return NotImplementedMethodError

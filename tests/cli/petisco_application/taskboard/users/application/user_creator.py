from meiga import BoolResult, isSuccess
from petisco import DomainEventBus, UseCase

from taskboard.shared.ids import UserId
from taskboard.users.domain.email import Email
from taskboard.users.domain.errors import EmailTaken
from taskboard.users.domain.name import Name
from taskboard.users.domain.user import User
from taskboard.users.domain.user_repository import UserRepository


class UserCreator(UseCase):
    def __init__(self, repository: UserRepository, bus: DomainEventBus) -> None:
        self.repository = repository
        self.bus = bus

    def execute(self, user_id: UserId, name: Name, email: Email) -> BoolResult:
        found = self.repository.retrieve_by_email(email)
        if found.is_success:
            raise EmailTaken(uuid_value=found.value.aggregate_id.value)

        user = User.create(user_id, name, email)
        self.repository.save(user).unwrap_or_return()
        self.bus.publish(user.pull_domain_events())  # after it is stored
        return isSuccess

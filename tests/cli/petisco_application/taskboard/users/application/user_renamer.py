from meiga import BoolResult
from petisco import DomainEventBus, UseCase

from taskboard.shared.ids import UserId
from taskboard.users.application.user_finder import UserFinder
from taskboard.users.domain.name import Name
from taskboard.users.domain.user_repository import UserRepository


class UserRenamer(UseCase):
    def __init__(self, repository: UserRepository, bus: DomainEventBus) -> None:
        self.repository = repository
        self.bus = bus
        self.finder = UserFinder(repository)

    def execute(self, user_id: UserId, name: Name) -> BoolResult:
        user = self.finder.execute(user_id).unwrap_or_return()
        user.rename(name)
        for event in user.pull_domain_events():
            self.bus.publish(event)
        return self.repository.update(user)

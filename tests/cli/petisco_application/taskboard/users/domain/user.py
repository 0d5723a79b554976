from typing import Optional

from petisco import AggregateRoot

from taskboard.shared.ids import UserId
from taskboard.users.domain.email import Email
from taskboard.users.domain.events import UserCreated, UserRenamed
from taskboard.users.domain.name import Name


class User(AggregateRoot):
    aggregate_id: UserId
    name: Name
    email: Optional[Email] = None
    renamed: int = 0
    blocked: bool = False

    @staticmethod
    def create(user_id: UserId, name: Name, email: Optional[Email] = None) -> "User":
        user = User(aggregate_id=user_id, name=name, email=email)
        user.record(UserCreated(user_id=user.aggregate_id, name=name))
        return user

    def rename(self, name: Name) -> None:
        if name == self.name:
            return  # nothing happened
        self.name = name
        self.renamed += 1
        self.record(UserRenamed(user_id=self.aggregate_id, name=name))

    def block(self) -> None:
        self.blocked = True

    def is_known_as(self, name: Name) -> bool:
        return self.name == name

from petisco import DomainEvent

from taskboard.shared.ids import UserId
from taskboard.users.domain.name import Name


class UserCreated(DomainEvent):
    user_id: UserId
    name: Name


class UserRenamed(DomainEvent):
    user_id: UserId
    name: Name

    class Config:
        version = 2

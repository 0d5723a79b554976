from meiga import BoolResult, isSuccess
from petisco import AsyncUseCase, NotifierMessage, Notifier

from taskboard.users.domain.name import Name


class UserGreeter(AsyncUseCase):
    def __init__(self, notifier: Notifier) -> None:
        self.notifier = notifier

    async def execute(self, name: Name) -> BoolResult:
        self.notifier.publish(NotifierMessage(title=f"Hello {name.value}"))
        return isSuccess

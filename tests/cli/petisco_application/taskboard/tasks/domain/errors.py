from petisco import AlreadyExists, DomainError, NotFound


class TaskNotFound(NotFound): ...


class TaskAlreadyFinished(AlreadyExists): ...


class NotYourTask(DomainError):
    def __init__(self, task: str) -> None:
        super().__init__(additional_info={"task": task})

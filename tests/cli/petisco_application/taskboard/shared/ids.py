from petisco import Uuid


class UserId(Uuid): ...


class TaskId(Uuid): ...

from petisco import DomainError, NotAllowed, UserAlreadyExists


class EmailTaken(UserAlreadyExists):
    """Somebody else has this address."""


class UserBlocked(NotAllowed): ...


class TooManyUsers(DomainError):
    pass

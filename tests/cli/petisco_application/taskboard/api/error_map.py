from petisco import DEFAULT_HTTP_ERROR_MAP, ErrorMap, HttpError

from taskboard.tasks.domain.errors import NotYourTask, TaskNotFound
from taskboard.users.domain.errors import EmailTaken, UserBlocked

ERROR_MAP: ErrorMap = {
    **DEFAULT_HTTP_ERROR_MAP,
    TaskNotFound: HttpError(status_code=404, detail="There is no such task"),
    NotYourTask: HttpError(status_code=403),
    EmailTaken: HttpError(status_code=409, detail="Somebody else has this address"),
    UserBlocked: HttpError(status_code=403),
}

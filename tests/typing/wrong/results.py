"""Wrong code around pipelines: a type checker refuses each line marked `# wrong`, and no other."""

from board import DuplicateTask, NoPermission, Task, TaskClosed, Title, UserId, check_owner, close_task, notify_owner, open_task
from returns.result import Failure, Result, Success

from domainkit import (
    Do,
    DomainError,
    UnknownError,
    async_pipeline,
    collect,
    collect_async,
    early_return,
    fold,
    pipeline,
    recover,
    tap,
    together,
    together_async,
    use_case,
)

title = Title("Buy milk")


def measure(title: Title) -> int:
    return len(title.value)


def count(task: Task) -> int:
    return 1


def measure_error(error: DuplicateTask) -> int:
    return 1


def measure_closed(error: TaskClosed) -> int:
    return 1


pipeline(close_task, open_task)  # wrong: the order; open_task takes no Task
pipeline(open_task, measure)  # wrong: measure returns no Result
pipeline(measure, open_task)  # wrong: measure returns no Result
pipeline(open_task, notify_owner)  # wrong: a coroutine function; async_pipeline takes it
pipeline(open_task)("Buy milk")  # wrong: a str is no Title
pipeline(open_task, lambda task: task.name)  # wrong: unknown field
pipeline(open_task, close_task)(title).unwrap().name  # wrong: unknown field
pipeline()  # wrong: a pipeline has a step
narrow: Result[Task, DuplicateTask] = pipeline(open_task, close_task)(title)  # wrong: TaskClosed is not handled
owner: Result[UserId, DuplicateTask | TaskClosed] = pipeline(open_task, close_task)(title)  # wrong: it is a Task
guarded: Result[Task, DuplicateTask] = use_case(open_task)(title)  # wrong: UnknownError is not handled
whole: Result[Task, UnknownError] = pipeline(use_case(open_task), close_task)(title)  # wrong: two errors are left

async_pipeline(close_task, open_task)  # wrong: the order; open_task takes no Task
async_pipeline(open_task, count)  # wrong: count returns no Result
async_pipeline(notify_owner, close_task)  # wrong: close_task takes no UserId
async_pipeline()  # wrong: a pipeline has a step


async def run() -> None:
    later: Result[UserId, NoPermission] = async_pipeline(open_task, notify_owner)(title)  # wrong: it is not awaited
    some: Result[UserId, NoPermission] = await async_pipeline(open_task, notify_owner)(title)  # wrong: DuplicateTask too
    await async_pipeline(notify_owner)(title)  # wrong: it takes a Task


def match(result: Result[Task, DuplicateTask]) -> str:
    match result:
        case Success(Task() as task):
            return task.name  # wrong: unknown field
        case Failure(DuplicateTask() as error):
            return error.name  # wrong: unknown field
        case _:
            pass
    return fold(result, lambda task: task.name, lambda error: error.detail())  # wrong: unknown field


opened = open_task(title)
fold(opened, measure, measure_error)  # wrong: measure takes no Task
fold(opened, count, measure_closed)  # wrong: another error
text: str = fold(opened, count, measure_error)  # wrong: it is an int
fold(title, count, measure_error)  # wrong: a Title is no Result
collect([title])  # wrong: a Title is no Result
first: Result[tuple[Task, ...], DuplicateTask] = collect([opened])  # wrong: all errors are in a tuple
task: Task = collect([opened]).unwrap()  # wrong: all values are in a tuple
value: Task = opened  # wrong: it is a Result
error: DomainError = check_owner(opened.unwrap())  # wrong: it is a Result


def greet(user: UserId) -> None: ...
def reopen(error: DuplicateTask | TaskClosed) -> Result[Task, TaskClosed]:
    return Success(Task.create(title)) if isinstance(error, DuplicateTask) else Failure(error)


pipeline(open_task, tap(greet))  # wrong: greet takes no Task
effect: Result[Task, DuplicateTask] = pipeline(open_task, tap(check_owner))(title)  # wrong: NoPermission is not handled
recover(check_owner, reopen)  # wrong: reopen takes another error
cured: Result[Task, NoPermission] = recover(pipeline(open_task, close_task), reopen)(title)  # wrong: TaskClosed is left


async def gather() -> None:
    await collect_async([check_owner(opened.unwrap())])  # wrong: a Result is no awaitable
    await together_async(notify_owner(task), check_owner(task))  # wrong: a Result is no awaitable
    await together_async()  # wrong: there is nothing to wait for
    both: Result[tuple[UserId, Task], NoPermission] = await together_async(notify_owner(task), later(task))  # wrong: TaskClosed is not handled
    swapped: Result[tuple[Task, UserId], NoPermission | TaskClosed] = await together_async(notify_owner(task), later(task))  # wrong: the order
    users: Result[tuple[Task, ...], tuple[NoPermission, ...]] = await collect_async([notify_owner(task)])  # wrong: ids


async def later(task: Task) -> Result[Task, TaskClosed]:
    return close_task(task)


@early_return
async def forgetful_pair(do: Do[NoPermission], task: Task) -> Task:
    owner, closed = do(await together_async(notify_owner(task), later(task)))  # wrong: TaskClosed isn't declared
    return closed


@early_return
def forgetful(do: Do[DuplicateTask], title: Title) -> Task:
    return do(close_task(do(open_task(title))))  # wrong: TaskClosed isn't declared


@early_return
async def forgetful_later(do: Do[DuplicateTask], title: Title) -> Task:
    return do(close_task(do(open_task(title))))  # wrong: as above


early_return(open_task)  # wrong: it has no do
forgetful(5)  # wrong: a title
together(open_task, measure)  # wrong: measure returns no Result

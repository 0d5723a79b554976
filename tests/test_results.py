"""Pipelines, fold and collect."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, TypeAlias

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st
from returns.pipeline import flow
from returns.pointfree import bind
from returns.result import Failure, Result, Success

from domainkit import DomainError, async_pipeline, collect, fold, pipeline

Outcome: TypeAlias = Result[int, str]
Step: TypeAlias = Callable[[int], Outcome]
AsyncStep: TypeAlias = Callable[[int], Outcome | Awaitable[Outcome]]


@frozen
class AddOrFail:
    """A step with a readable repr: adds, unless the number is a multiple of `fails_on`."""

    number: int
    fails_on: int

    def __call__(self, value: int) -> Outcome:
        return Failure(f"{value} in {self}") if value % self.fails_on == 0 else Success(value + self.number)


@frozen
class Later:
    """The same step as a coroutine function."""

    step: Step

    async def __call__(self, value: int) -> Outcome:
        await asyncio.sleep(0)
        return self.step(value)


numbers = st.integers(-100, 100)
steps = st.builds(AddOrFail, number=numbers, fails_on=st.integers(1, 7))
mixed_steps = st.one_of(steps, st.builds(Later, steps))
outcomes = st.one_of(st.builds(Success, numbers), st.builds(Failure, st.text("ab", max_size=3)))

run_flow: Callable[..., Outcome] = flow  # its own type needs the plugin of returns
compose: Callable[..., Step] = pipeline
compose_async: Callable[..., Callable[[int], Awaitable[Outcome]]] = async_pipeline


def by_hand(several: list[Step], value: int) -> Outcome:
    """Run the steps as one writes it without a pipeline."""
    result: Outcome = Success(value)
    for step in several:
        if isinstance(result, Failure):
            return result
        result = step(result.unwrap())
    return result


@given(several=st.lists(steps, min_size=1, max_size=12), value=numbers)
def test_a_pipeline_is_the_steps_by_hand(several: list[Step], value: int) -> None:
    """A pipeline of one to twelve steps gives what `if failed: return` after each step gives."""
    assert by_hand(several, value) == compose(*several)(value)


@given(several=st.lists(steps, min_size=1, max_size=12), value=numbers)
def test_a_pipeline_is_flow_with_bind(several: list[Step], value: int) -> None:
    """A pipeline gives what `flow` gives with `bind` around each step but the first."""
    first, *rest = several
    assert run_flow(value, first, *map(bind, rest)) == compose(*several)(value)


@given(several=st.lists(steps, min_size=2, max_size=12), cut=st.integers(1, 11), value=numbers)
def test_nesting_changes_nothing(several: list[Step], cut: int, value: int) -> None:
    """Composition is associative: a pipeline of pipelines gives what one pipeline of all the steps gives."""
    cut = min(cut, len(several) - 1)
    nested = pipeline(compose(*several[:cut]), compose(*several[cut:]))
    assert compose(*several)(value) == nested(value)


@given(step=steps, value=numbers)
def test_success_is_the_identity(step: Step, value: int) -> None:
    """`Success` as a step, before or after another, changes nothing."""
    assert step(value) == pipeline(Success, step)(value) == pipeline(step, Success)(value) == pipeline(step)(value)


@given(before=st.lists(st.just(Success), max_size=5), after=st.lists(steps, max_size=5), value=numbers)
def test_the_first_failure_ends_it(before: list[Step], after: list[Step], value: int) -> None:
    """The very Failure that a step returns comes out, and no step after it is called."""
    failure: Outcome = Failure("stop")
    called: list[int] = []
    spies = [partial(_spy, called, step) for step in after]
    assert compose(*before, lambda _: failure, *spies)(value) is failure
    assert [] == called


def _spy(called: list[int], step: Step, value: int) -> Outcome:
    called.append(value)
    return step(value)


def test_each_step_is_called_once_with_the_value_before_it() -> None:
    """Each step is called once, in order, with the value of the step before."""
    seen: list[object] = []

    def see(value: object) -> Result[object, str]:
        seen.append(value)
        return Success((value,))

    assert Success((((1,),),)) == pipeline(see, see, see)(1)
    assert [1, (1,), ((1,),)] == seen


def test_twelve_steps() -> None:
    """Twelve steps are composed, and more by nesting."""
    one = AddOrFail(1, 1000)
    twelve = pipeline(one, one, one, one, one, one, one, one, one, one, one, one)
    assert Success(13) == twelve(1)
    assert Success(37) == pipeline(twelve, twelve, twelve)(1)


async def test_twelve_async_steps() -> None:
    """Twelve steps, sync and async, are composed, and more by nesting."""
    one, later = AddOrFail(1, 1000), Later(AddOrFail(1, 1000))
    twelve = async_pipeline(one, later, one, later, one, later, one, later, one, later, one, later)
    assert Success(13) == await twelve(1)
    assert Success(37) == await async_pipeline(twelve, twelve, twelve)(1)


@pytest.mark.parametrize(("make", "name"), [(compose, "pipeline"), (compose_async, "async_pipeline")])
def test_no_step_is_refused(make: Callable[[], object], name: str) -> None:
    """A pipeline without steps is a TypeError that says what is missing."""
    with pytest.raises(TypeError, match=f"^{name}: expected at least one step, got 0; pass functions"):
        make()


@given(several=st.lists(mixed_steps, min_size=1, max_size=12), value=numbers)
def test_an_async_pipeline_is_the_pipeline_of_its_steps(several: list[AsyncStep], value: int) -> None:
    """Sync and async steps, mixed in any order, give what a pipeline of the sync ones gives."""
    plain = [step.step if isinstance(step, Later) else step for step in several]
    assert compose(*plain)(value) == asyncio.run(_awaited(compose_async(*several)(value)))


async def _awaited(outcome: Awaitable[Outcome]) -> Outcome:
    return await outcome


@given(step=mixed_steps, value=numbers)
def test_success_is_the_identity_of_async_pipelines(step: AsyncStep, value: int) -> None:
    """`Success` as a step of an async pipeline changes nothing."""
    alone, before, after = async_pipeline(step), async_pipeline(Success, step), async_pipeline(step, Success)
    expected = asyncio.run(alone(value))
    assert expected == asyncio.run(before(value)) == asyncio.run(after(value))


async def test_any_awaitable_is_awaited() -> None:
    """A step of an async pipeline may return a coroutine, a task or a future, also as the last one."""

    async def coroutine(number: int) -> Outcome:
        return Success(number + 1)

    def task(number: int) -> asyncio.Task[Outcome]:
        return asyncio.create_task(coroutine(number))

    def future(number: int) -> asyncio.Future[Outcome]:
        made = asyncio.get_running_loop().create_future()
        made.set_result(Success(number + 1))
        return made

    assert Success(4) == await async_pipeline(coroutine, task, future)(1)


async def test_an_async_failure_ends_it() -> None:
    """The very Failure of an async step comes out, and no step after it is called."""
    failure: Outcome = Failure("stop")

    async def stop(_: int) -> Outcome:
        return failure

    def never(_: int) -> Outcome:
        raise AssertionError("called after a Failure")

    assert await async_pipeline(stop, never)(1) is failure
    assert await async_pipeline(Success, stop)(1) is failure


def test_an_async_pipeline_is_a_coroutine_function() -> None:
    """The function that async_pipeline returns is a coroutine function: an event loop knows what to do with it."""
    assert inspect.iscoroutinefunction(async_pipeline(Success))


class Broken(DomainError): ...


def break_down(_: int) -> Outcome:
    """Raise."""
    raise Broken


async def break_down_later(_: int) -> Outcome:
    """Raise."""
    raise Broken


@pytest.mark.parametrize("position", range(3))
def test_exceptions_pass(position: int) -> None:
    """An exception of a step is raised by the pipeline: it isn't a Failure."""
    several: list[Step] = [Success, Success]
    several.insert(position, break_down)
    with pytest.raises(Broken):
        compose(*several)(1)


@pytest.mark.parametrize("step", [break_down, break_down_later])
@pytest.mark.parametrize("position", range(3))
async def test_exceptions_pass_an_async_pipeline(position: int, step: AsyncStep) -> None:
    """An exception of a sync or async step is raised by the async pipeline."""
    several: list[AsyncStep] = [Success, Success]
    several.insert(position, step)
    with pytest.raises(Broken):
        await compose_async(*several)(1)


async def test_cancellation_passes_an_async_pipeline() -> None:
    """A task that runs an async pipeline is cancelled where it waits."""

    async def wait(_: int) -> Outcome:
        await asyncio.Event().wait()
        return Success(0)

    task = asyncio.create_task(async_pipeline(Success, wait, break_down)(1))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def no_result(value: int) -> Any:
    """Return what is no Result."""
    return value or None


class Wrong:
    """A callable that returns what is no Result."""

    def __call__(self, value: int) -> Any:
        return value


@pytest.mark.parametrize(("value", "kind"), [(5, "int"), (0, "NoneType")])
@pytest.mark.parametrize("several", [(no_result,), (no_result, Success), (Success, no_result)])
async def test_a_step_that_returns_no_result_is_a_bug(several: tuple[Step, ...], value: int, kind: str) -> None:
    """A step that returns no Result is a TypeError that names it: it is neither taken for a Failure nor passed on."""
    expected = f"^step no_result: expected a Result, got {kind}; "
    with pytest.raises(TypeError, match=expected):
        compose(*several)(value)
    with pytest.raises(TypeError, match=expected):
        await compose_async(*several)(value)


@pytest.mark.parametrize(
    ("step", "name"),
    [(partial(partial(no_result)), "no_result"), ("".zfill, "str.zfill"), (Wrong(), "Wrong")],
)
def test_the_step_is_named(step: Step, name: str) -> None:
    """A partial is named by its function, a method by its class, another callable by its class."""
    with pytest.raises(TypeError, match=f"^step {name}: expected a Result"):
        pipeline(step)(5)


@given(step=steps, other=steps, value=numbers)
def test_a_pipeline_is_a_plain_function(step: Step, other: Step, value: int) -> None:
    """`flow`, `bind` and `Result.do` take a pipeline, and a pipeline takes functions that are made of them."""
    both = pipeline(step, other)
    expected = both(value)
    assert expected == run_flow(value, step, bind(other))
    assert expected == run_flow(Success(value), bind(both))
    assert expected == Success(value).bind(both)
    assert expected == Result.do(last for first in step(value) for last in other(first))
    assert expected == pipeline(lambda number: run_flow(number, step, bind(other)))(value)
    assert expected == compose(lambda number: Result.do(last for last in both(number)))(value)


@given(outcome=outcomes)
def test_fold_calls_one_of_the_two(outcome: Outcome) -> None:
    """Fold returns what the function for the case at hand returns, and doesn't call the other one."""
    called: list[object] = []

    def succeeded(value: int) -> str:
        called.append(value)
        return f"got {value}"

    def failed(error: str) -> str:
        called.append(error)
        return f"failed: {error}"

    inner = outcome.failure() if isinstance(outcome, Failure) else outcome.unwrap()
    expected = f"failed: {inner}" if isinstance(outcome, Failure) else f"got {inner}"
    assert expected == fold(outcome, succeeded, failed)
    assert [inner] == called


@given(outcome=outcomes)
def test_fold_with_the_containers_gives_the_result_back(outcome: Outcome) -> None:
    """Folding with Success and Failure is the identity."""
    again: Outcome = fold(outcome, Success, Failure)
    assert outcome == again


@given(several=st.lists(outcomes))
def test_collect_keeps_all(several: list[Outcome]) -> None:
    """Collect gives all values in their order, or all errors in theirs: as many as there were, none dropped."""
    values = tuple(one.unwrap() for one in several if isinstance(one, Success))
    errors = tuple(one.failure() for one in several if isinstance(one, Failure))
    assert (Failure(errors) if errors else Success(values)) == collect(several)


@given(several=st.lists(outcomes))
def test_collect_takes_an_iterator_once(several: list[Outcome]) -> None:
    """Collect takes each Result of an iterator once, also after a Failure, and gives what it gives for a list."""
    taken: list[Outcome] = []

    def generate() -> Iterator[Outcome]:
        for one in several:
            taken.append(one)
            yield one

    generator = generate()
    assert collect(several) == collect(generator)
    assert several == taken
    assert [] == list(generator)


@given(values=st.lists(numbers))
def test_collect_of_successes_is_their_values(values: list[int]) -> None:
    """Collect is the inverse of mapping Success over values; nothing gives an empty tuple."""
    assert Success(tuple(values)) == collect(map(Success, values))


def test_collect_keeps_errors_that_are_false() -> None:
    """An error that is false, such as an empty text or None, is an error."""
    assert Failure(("", None, 0)) == collect([Failure(""), Success(1), Failure(None), Failure(0)])


def test_collect_raises_what_the_iterator_raises() -> None:
    """An exception while the results are made is raised: it is no Failure."""
    with pytest.raises(Broken):
        collect(map(break_down, [1]))

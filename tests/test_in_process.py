"""Async mediators and buses, middlewares, causes, and handling once: the application in one process."""

import asyncio
import contextvars
import random
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import pytest
from attrs import frozen
from returns.result import Failure, Result, Success

from domainkit import (
    AggregateRoot,
    AsyncInmemoryCommandBus,
    AsyncInmemoryCrudRepository,
    AsyncInmemoryDomainEventBus,
    AsyncMediator,
    Command,
    CommandNotHandled,
    DomainError,
    DomainEvent,
    InmemoryCommandBus,
    InmemoryDomainEventBus,
    Mediator,
    NotAllowed,
    caused,
    handling,
)

R = TypeVar("R")
E = TypeVar("E")


@frozen
class Ping(Command[str, DomainError]):
    text: str = "ping"


class Echo(Command): ...


class Pinged(DomainEvent): ...


class Echoed(DomainEvent): ...


def answer(command: Ping) -> Result[str, DomainError]:
    """Answer at once."""
    return Success(command.text)


async def answer_later(command: Ping) -> Result[str, DomainError]:
    """Answer after a turn of the loop."""
    await asyncio.sleep(0)
    return Success(command.text)


class TestMiddlewares:
    def test_they_run_as_an_onion(self) -> None:
        """The last one added is the outermost; each sees the command before and the answer after."""
        seen: list[str] = []

        def around(name: str, command: Command[R, E], proceed: Callable[[Command[R, E]], Result[R, E]]) -> Result[R, E]:
            seen.append(f"{name} before")
            result = proceed(command)
            seen.append(f"{name} after")
            return result

        inner = Mediator(Ping.handled_by(answer)).within(partial(around, "inner"))
        assert Success("ping") == inner.within(partial(around, "outer")).send(Ping())
        assert ["outer before", "inner before", "inner after", "outer after"] == seen
        seen.clear()
        inner.send(Ping())
        assert ["inner before", "inner after"] == seen

    def test_they_may_change_the_command(self) -> None:
        """A middleware may pass on another command, with more meta, say."""

        def tag(command: Command[R, E], proceed: Callable[[Command[R, E]], Result[R, E]]) -> Result[R, E]:
            return proceed(command.add_meta({"tenant": "home"}))

        def tell(command: Ping) -> Result[str, DomainError]:
            return Success(str(command.header.meta["tenant"]))

        assert Success("home") == Mediator(Ping.handled_by(tell)).within(tag).send(Ping())

    def test_a_check_refuses_before_the_handler(self) -> None:
        """The Failure of a check is the answer; the handler isn't called. A Success lets the command pass."""
        handled: list[Ping] = []

        def handle(command: Ping) -> Result[str, DomainError]:
            handled.append(command)
            return Success("done")

        def check(command: Command[Any, Any]) -> Result[None, NotAllowed]:
            return Failure(NotAllowed()) if isinstance(command, Ping) and command.text == "no" else Success(None)

        mediator = Mediator(Ping.handled_by(handle)).checked_by(check)
        assert Failure(NotAllowed()) == mediator.send(Ping("no"))
        assert [] == handled
        assert Success("done") == mediator.send(Ping("yes"))

    @pytest.mark.parametrize("wrong", [None, False, True, NotAllowed()])
    async def test_a_check_lets_through_on_a_success_alone(self, wrong: object) -> None:
        """A check that answers no Result is a TypeError that says so, and the handler isn't called, sync or async."""
        handled: list[Ping] = []

        def handle(command: Ping) -> Result[str, DomainError]:
            handled.append(command)
            return Success("done")

        async def check_later(_: object) -> Any:
            return wrong

        check: Any = lambda _: wrong  # noqa: E731  # wrong on purpose
        said = rf"^the check .*: expected a Success or a Failure, got a {type(wrong).__name__}; return Success\(None\) "
        with pytest.raises(TypeError, match=said):
            Mediator(Ping.handled_by(handle)).checked_by(check).send(Ping())
        for refused in (check, check_later):
            with pytest.raises(TypeError, match=said):
                await AsyncMediator(Ping.handled_by(handle)).checked_by(refused).send(Ping())
        assert [] == handled

    def test_a_sync_mediator_takes_no_check_to_await(self) -> None:
        """A coroutine function is refused when the mediator is built; a function that returns a coroutine, when asked.

        That coroutine is closed: nothing is left that was never awaited.
        """

        async def check(_: object) -> Result[None, NotAllowed]:
            return Success(None)

        given: Any = check
        with pytest.raises(
            TypeError, match=r"checked_by: expected a plain function, got .*check; use an AsyncMediator$"
        ):
            Mediator(Ping.handled_by(answer)).checked_by(given)
        hidden: Any = lambda command: given(command)  # noqa: E731, PLW0108  # hidden on purpose
        with pytest.raises(TypeError, match="expected a Success or a Failure, got a coroutine;"):
            Mediator(Ping.handled_by(answer)).checked_by(hidden).send(Ping())

    @pytest.mark.parametrize("where", ["handler", "middleware"])
    def test_an_exception_is_never_swallowed(self, where: str) -> None:
        """An exception of a handler or a middleware is raised by send."""

        def crash(*_: object) -> Any:
            raise ZeroDivisionError

        mediator = Mediator(Ping.handled_by(crash if where == "handler" else answer))
        with pytest.raises(ZeroDivisionError):
            (mediator.within(crash) if where == "middleware" else mediator).send(Ping())

    def test_an_unknown_command_goes_through_them_too(self) -> None:
        """A command without a handler is CommandNotHandled, which middlewares see like any answer."""
        seen: list[object] = []

        def look(command: Command[R, E], proceed: Callable[[Command[R, E]], Result[R, E]]) -> Result[R, E]:
            result = proceed(command)
            seen.append(result.failure())
            return result

        assert isinstance(Mediator().within(look).send(Ping()).failure(), CommandNotHandled)
        assert isinstance(seen[0], CommandNotHandled)


class TestAsyncMediator:
    @pytest.mark.parametrize("handler", [answer, answer_later])
    async def test_sync_and_async_handlers(self, handler: Any) -> None:
        """A handler may be a plain function or a coroutine function."""
        assert Success("ping") == await AsyncMediator(Ping.handled_by(handler)).send(Ping())

    async def test_middlewares_and_checks(self) -> None:
        """Middlewares await, checks may; the last one added is the outermost."""
        seen: list[str] = []

        async def around(
            command: Command[R, E], proceed: Callable[[Command[R, E]], Awaitable[Result[R, E]]]
        ) -> Result[R, E]:
            seen.append("before")
            result = await proceed(command)
            seen.append("after")
            return result

        async def refuse(command: Command[Any, Any]) -> Result[None, NotAllowed]:
            return Failure(NotAllowed())

        def allow(command: Command[Any, Any]) -> Result[None, NotAllowed]:
            return Success(None)

        mediator = AsyncMediator(Ping.handled_by(answer_later)).within(around)
        assert Success("ping") == await mediator.checked_by(allow).send(Ping())
        assert ["before", "after"] == seen
        assert Failure(NotAllowed()) == await mediator.checked_by(refuse).send(Ping())
        assert ["before", "after"] == seen

    async def test_unknown_commands_and_duplicates(self) -> None:
        """No handler is CommandNotHandled; two for a class are refused at construction."""
        assert isinstance((await AsyncMediator().send(Ping())).failure(), CommandNotHandled)
        with pytest.raises(TypeError, match="Ping: expected one handler, got answer and answer_later; keep one"):
            AsyncMediator(Ping.handled_by(answer), Ping.handled_by(answer_later))

    def test_a_mediator_refuses_a_coroutine_function(self) -> None:
        """A sync mediator can't await: it says so at construction."""
        handler: Any = Ping.handled_by(answer_later)
        with pytest.raises(TypeError, match="the coroutine function answer_later; use the async version of this class"):
            Mediator(handler)

    def test_handlers_are_shown(self) -> None:
        """The handlers can be looked at, in their order."""
        handler = Ping.handled_by(answer)
        assert (handler,) == Mediator(handler).handlers == AsyncMediator(handler).handlers


def is_caused_by(event: DomainEvent, cause: DomainEvent | Command[Any, Any]) -> bool:
    """Tell whether the event names the cause."""
    return event.header.meta.get("causation_id") == str(cause.header.id)


class TestCauses:
    def test_what_a_handler_publishes_has_the_command_as_its_cause(self) -> None:
        """Causation and correlation flow from the command to its events, and from these to theirs."""
        bus: InmemoryDomainEventBus = InmemoryDomainEventBus(Pinged.handled_by(lambda _: bus.publish(Echoed())))

        def handle(command: Ping) -> Result[str, DomainError]:
            bus.publish(Pinged())
            return Success("done")

        command = Ping()
        assert Success("done") == Mediator(Ping.handled_by(handle)).send(command)
        pinged, echoed = bus.published
        assert is_caused_by(pinged, command)
        assert is_caused_by(echoed, pinged)
        assert {str(command.header.id)} == {event.header.meta["correlation_id"] for event in bus.published}

    def test_a_named_cause_stays(self) -> None:
        """A message that names its cause already keeps it."""
        first, second = Ping(), Ping()
        with handling(second):
            assert is_caused_by(caused(Pinged().caused_by(first)), first)

    def test_outside_of_a_handler_there_is_no_cause(self) -> None:
        """After the handler, also one that raised, nothing is being handled."""

        def crash(_: Ping) -> Result[str, DomainError]:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            Mediator(Ping.handled_by(crash)).send(Ping())
        InmemoryCommandBus(Ping.handled_by(crash)).dispatch(Ping())
        assert "causation_id" not in caused(Pinged()).header.meta

    def test_threads_have_causes_of_their_own(self) -> None:
        """A message handled in one thread is no cause in another, unless its context is carried over."""
        command, found = Ping(), dict[str, DomainEvent]()
        with handling(command):
            context = contextvars.copy_context()
            bare = threading.Thread(target=lambda: found.update(bare=caused(Pinged())))
            carried = threading.Thread(target=lambda: found.update(carried=context.run(caused, Pinged())))
            for thread in (bare, carried):
                thread.start()
                thread.join()
        assert not is_caused_by(found["bare"], command)
        assert is_caused_by(found["carried"], command)

    async def test_tasks_have_causes_of_their_own(self) -> None:
        """Commands handled at the same time, in tasks, each lead to events with the right cause."""
        bus = AsyncInmemoryDomainEventBus()

        async def handle(command: Ping) -> Result[str, DomainError]:
            await asyncio.sleep(random.random() / 100)  # any order will do
            await bus.publish(Pinged().add_meta({"text": command.text}))
            return Success("done")

        mediator = AsyncMediator(Ping.handled_by(handle))
        commands = [Ping(str(number)) for number in range(20)]
        await asyncio.gather(*map(mediator.send, commands))
        by_text = {event.header.meta["text"]: event for event in bus.published}
        assert all(is_caused_by(by_text[command.text], command) for command in commands)

    async def test_a_task_that_a_handler_starts_has_its_cause(self) -> None:
        """A new task takes the cause of the handler that made it; so does asyncio.to_thread."""
        bus, command = AsyncInmemoryDomainEventBus(), Ping()

        async def handle(command: Ping) -> Result[str, DomainError]:
            await asyncio.create_task(bus.publish(Pinged()))
            await bus.publish(await asyncio.to_thread(lambda: caused(Echoed())))
            return Success("done")

        await AsyncMediator(Ping.handled_by(handle)).send(command)
        assert [True, True] == [is_caused_by(event, command) for event in bus.published]


class TestFlowingMeta:
    def test_chosen_meta_goes_from_a_command_to_all_that_comes_of_it(self) -> None:
        """To its events, to the command that a subscriber sends, to the events of that; other meta stays behind."""
        bus: InmemoryDomainEventBus = InmemoryDomainEventBus(
            Pinged.handled_by(lambda _: mediator.send(Echo()))
        ).flowing("tenant", "user")

        def ping(_: Ping) -> Result[str, DomainError]:
            return bus.publish(Pinged()).map(lambda _: "done").alt(lambda _: DomainError())

        def echo(_: Echo) -> Result[None, DomainError]:
            return bus.publish(Echoed()).alt(lambda _: DomainError())

        mediator: Mediator = Mediator(Ping.handled_by(ping), Echo.handled_by(echo)).flowing("tenant").flowing("user")
        command = Ping().add_meta({"tenant": "home", "user": {"id": 7}, "trace": "a"})
        assert Success("done") == mediator.send(command)
        pinged, echoed = bus.published
        own = str(command.header.id)
        expected = {"tenant": "home", "user": {"id": 7}, "correlation_id": own}
        assert {**expected, "causation_id": own} == pinged.header.meta
        assert {**expected, "causation_id": echoed.header.meta["causation_id"]} == echoed.header.meta
        assert [Pinged, Echoed] == [type(pinged), type(echoed)]

    async def test_an_async_mediator_passes_it_on_too(self) -> None:
        """A command that is sent while another is handled has it as its cause, and takes its meta."""
        seen: list[Echo] = []

        async def ping(_: Ping) -> Result[str, DomainError]:
            return (await mediator.send(Echo())).map(lambda _: "done").alt(lambda _: DomainError())

        async def echo(command: Echo) -> Result[None, DomainError]:
            seen.append(command)
            return Success(None)

        mediator = AsyncMediator(Ping.handled_by(ping), Echo.handled_by(echo)).flowing("tenant")
        command = Ping().add_meta({"tenant": "home"})
        assert Success("done") == await mediator.send(command)
        own = str(command.header.id)
        assert [{"tenant": "home", "correlation_id": own, "causation_id": own}] == [one.header.meta for one in seen]

    def test_what_a_message_says_itself_stays(self) -> None:
        """Its own key, one of `with_meta`, and where it names another cause, all of its meta; nothing is made up."""
        bus = InmemoryDomainEventBus().flowing("tenant", "user")
        cause = Ping().add_meta({"tenant": "home"})
        with handling(cause):
            bus.publish([Pinged().add_meta({"tenant": "own"}), Pinged().caused_by(cause), Pinged().caused_by(Ping())])
            bus.with_meta({"tenant": "bus"}).publish(Pinged())
        bus.publish(Pinged())
        assert ["own", "home", None, "bus", None] == [event.header.meta.get("tenant") for event in bus.published]
        assert not any("user" in event.header.meta for event in bus.published)

    def test_a_message_is_no_cause_of_itself(self) -> None:
        """A consumer that hands the command that it handles to a mediator sends the very command."""
        command, seen = Ping(), list[Ping]()

        def see(given: Ping) -> Result[str, DomainError]:
            seen.append(given)
            return Success("seen")

        with handling(command):
            Mediator(Ping.handled_by(see)).flowing("tenant").send(command)
        assert seen[0] is command

    @pytest.mark.parametrize("sender", [Mediator(), AsyncMediator(), InmemoryDomainEventBus()])
    def test_a_key_is_a_text(self, sender: Any) -> None:
        """Anything else is refused where the application is wired; the sender that is given stays as it is."""
        with pytest.raises(TypeError, match=rf"^{type(sender).__name__}.flowing: expected a str, the key of a"):
            sender.flowing(("tenant", "user"))
        assert sender.flowing("tenant") is not sender


class TestHandlingOnce:
    def test_a_delivery_is_remembered_by_message_id(self) -> None:
        """With `remember`, an event that comes again reaches only the subscribers that failed before."""
        calls: list[str] = []

        def work(event: Pinged) -> None:
            calls.append("work")

        def fail_first(event: Pinged) -> Result[None, str]:
            calls.append("fail")
            return Failure("not yet") if calls.count("fail") == 1 else Success(None)

        bus = InmemoryDomainEventBus(Pinged.handled_by(work), Pinged.handled_by(fail_first), remember=10)
        event = Pinged()
        assert isinstance(bus.publish(event), Failure)
        assert Success(None) == bus.publish(event)
        assert Success(None) == bus.with_meta({"a": 1}).publish(event)
        assert ["work", "fail", "fail"] == calls

    def test_only_the_newest_are_remembered(self) -> None:
        """Beyond the number given, the oldest delivery is forgotten."""
        calls: list[Pinged] = []
        bus = InmemoryDomainEventBus(Pinged.handled_by(calls.append), remember=2)
        first, *others = (Pinged(), Pinged(), Pinged())
        bus.publish([first, *others, others[1], first])
        assert [first, *others, first] == calls

    def test_without_it_every_delivery_counts(self) -> None:
        """By default a message that comes twice is handled twice."""
        calls: list[Pinged] = []
        bus, event = InmemoryDomainEventBus(Pinged.handled_by(calls.append)), Pinged()
        bus.publish([event, event])
        assert [event, event] == calls

    @pytest.mark.parametrize("remember", [0, 5])
    async def test_commands(self, remember: int) -> None:
        """A command that was handled is handled again only without `remember`; one that failed always is."""
        handled: list[str] = []

        def handle(command: Ping) -> Result[str, DomainError]:
            handled.append(command.text)
            return Failure(NotAllowed()) if len(handled) == 1 else Success("done")

        command = Ping()
        bus = InmemoryCommandBus(Ping.handled_by(handle), remember=remember)
        async_bus = AsyncInmemoryCommandBus(Ping.handled_by(handle), remember=remember)
        assert isinstance(bus.dispatch(command), Failure)
        assert [Success(None)] * 2 == [bus.dispatch(command), bus.dispatch(command)]
        assert [Success(None)] * 2 == [await async_bus.dispatch(command), await async_bus.dispatch(command)]
        assert (3 if remember else 5) == len(handled)


class TestAsyncBuses:
    async def test_every_outcome_of_many_events_is_accounted_for(self) -> None:
        """10,000 events, 3 subscribers, one fails at random: each call happens, and each failure is reported."""
        source, handled, failed = random.Random(4), [0, 0], set[str]()  # test data

        async def count(event: Pinged) -> None:
            await asyncio.sleep(0)
            handled[0] += 1

        def count_too(event: DomainEvent) -> None:
            handled[1] += 1

        async def fail_at_random(event: Pinged) -> Result[None, str]:
            if source.random() < 0.3:
                failed.add(str(event.header.id))
                if source.random() < 0.5:
                    raise OSError
                return Failure("no")
            return Success(None)

        bus = AsyncInmemoryDomainEventBus(
            Pinged.handled_by(count), Pinged.handled_by(fail_at_random), DomainEvent.handled_by(count_too), keep=None
        )
        events = [Pinged() for _ in range(10_000)]
        reported: set[str] = set()
        for start in range(0, len(events), 100):
            results = await asyncio.gather(*(bus.publish(event) for event in events[start : start + 100]))
            for event, result in zip(events[start:], results, strict=False):
                if isinstance(result, Failure):
                    assert "fail_at_random" in result.failure().detail()
                    reported.add(str(event.header.id))
        assert [10_000, 10_000] == handled
        assert failed == reported
        assert 2_000 < len(failed) < 4_000
        assert 10_000 == len(bus.published)

    async def test_closed_buses_refuse(self) -> None:
        """After close, publish and dispatch are Failures; closing again does nothing."""
        events, commands = AsyncInmemoryDomainEventBus(), AsyncInmemoryCommandBus()
        for bus in (events, commands):
            await bus.close()
            await bus.close()
        assert "closed" in (await events.publish(Pinged())).failure().detail()
        assert "closed" in (await commands.dispatch(Ping())).failure().detail()

    async def test_a_command_without_a_handler(self) -> None:
        """A command that none of the handlers is for is a Failure; a bus without handlers records."""
        assert Success(None) == await AsyncInmemoryCommandBus().dispatch(Ping())

        class Other(Command): ...

        bus = AsyncInmemoryCommandBus(Ping.handled_by(answer_later))
        assert "no handler for" in (await bus.dispatch(Other())).failure().detail()
        assert () == bus.dispatched
        assert (Ping.handled_by(answer_later),) == bus.handlers

    def test_sync_buses_refuse_coroutine_functions(self) -> None:
        """A sync bus can't await: it says so at construction."""

        async def tell(event: Pinged) -> None: ...

        subscriber: Any = Pinged.handled_by(tell)
        with pytest.raises(TypeError, match="use the async version of this class"):
            InmemoryDomainEventBus(subscriber)
        handler: Any = Ping.handled_by(answer_later)
        with pytest.raises(TypeError, match="use the async version of this class"):
            InmemoryCommandBus(handler)
        wrong: Any = 5
        with pytest.raises(TypeError, match="made by handled_by, got a int"):
            AsyncInmemoryDomainEventBus(wrong)

    def test_a_coroutine_that_slips_in_is_a_failure(self) -> None:
        """A plain function that returns a coroutine to a sync bus is a bug that is reported, and awaited by nobody."""

        async def tell(event: Pinged) -> None: ...

        slipping: Any = Pinged.handled_by(partial(lambda _, event: tell(event), None))
        assert isinstance(InmemoryDomainEventBus(slipping).publish(Pinged()), Failure)

    async def test_cancellation_passes(self) -> None:
        """Cancelling publish cancels the subscriber, and is not taken for its failure."""
        started = asyncio.Event()

        async def wait(event: Pinged) -> None:
            started.set()
            await asyncio.sleep(60)

        task = asyncio.create_task(AsyncInmemoryDomainEventBus(Pinged.handled_by(wait)).publish(Pinged()))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def test_subscribers_are_shown(self) -> None:
        """The subscribers can be looked at, in their order."""
        subscriber = Pinged.handled_by(lambda event: None)
        assert (subscriber,) == AsyncInmemoryDomainEventBus(subscriber).subscribers


class TestAsyncRepository:
    async def test_it_does_what_the_sync_one_does(self) -> None:
        """Each method of the async repository does the same as its sync twin."""
        tasks, task = AsyncInmemoryCrudRepository[AggregateRoot](repository_name="tasks"), AggregateRoot()
        assert Success(task) == await tasks.save(task)
        assert "(repository: tasks)" in (await tasks.save(task)).failure().detail()
        assert Success(task) == await tasks.retrieve(task.aggregate_id)
        updated = (await tasks.update(task)).unwrap()
        assert 2 == updated.aggregate_version
        assert Success((updated,)) == await tasks.retrieve_all()
        assert Success(None) == await tasks.remove(task.aggregate_id)
        assert Success(()) == await tasks.retrieve_all()
